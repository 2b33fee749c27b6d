"""Command lines in which plain words stand beside ``key=value``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rlkit.config.messages import FLAGS
from rlkit.core.types import UsageError
from rlkit.reporting.commands import literal


def gathered(argv: Sequence[str], key: str, what: str) -> list[str]:
    """Return the command line with its plain words as the list ``key=[…]``.

    Args:
        argv: as typed.
        key: of the list.
        what: what the words are called, for complaints.

    Raises:
        UsageError: they are typed both as words and as the key.
    """
    settings, words = _split(argv)
    if words and any(word.partition("=")[0] == key for word in settings):
        raise UsageError(f"type the {what} either as words or as {key}=[…], not both")
    return [f"{key}={literal(words)}", *settings] if words else settings


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings and options, and the plain words: those without ``=``, or that are folders."""
    settings: list[str] = []
    words: list[str] = []
    for word, is_value in _words(argv):
        is_plain = not is_value and not word.startswith(("-", "~")) and ("=" not in word or Path(word).is_dir())
        (words if is_plain else settings).append(word)
    return settings, words


def _words(argv: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each word, and whether it is the value of the option before it."""
    before = ""
    for word in argv:
        yield word, bool(FLAGS.get(before))
        before = word
