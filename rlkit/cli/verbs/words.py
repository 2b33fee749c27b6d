"""Command lines in which plain words stand beside ``key=value``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rlkit.config.literals import literal, quoted
from rlkit.config.messages import FLAGS
from rlkit.core.types import UsageError


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


def refuse(overrides: Sequence[str], keys: Sequence[str], why: str) -> None:
    """Refuse keys that mean nothing for what is asked for.

    Raises:
        UsageError: one of `keys` is among the `overrides`; the message ends with `why`.
    """
    for word in overrides:
        key = word.lstrip("+~").partition("=")[0].partition(".")[0].rpartition("@")[2]
        if key in keys:
            raise UsageError(f"{key}= {why}")


def with_run(argv: Sequence[str], verb: str) -> list[str]:
    """Return the command line with a plain word, a run folder, as ``run=…``.

    Raises:
        UsageError: there are several, or ``run=`` is typed as well.
    """
    return with_word(argv, verb, "run", "one run")


def with_word(argv: Sequence[str], verb: str, key: str, what: str) -> list[str]:
    """Return the command line with its plain word, a folder, as the value of `key`.

    Args:
        argv: as typed.
        verb: whose command line it is.
        key: of the folder.
        what: the folder is called, for complaints.

    Raises:
        UsageError: there are several, or the key is typed as well.
    """
    settings, words = _split(argv)
    if not words:
        return settings
    if len(words) > 1 or any(word.partition("=")[0] == key for word in settings):
        raise UsageError(
            f"rlkit {verb} uses {what}; type its folder once: rlkit {verb} {shlex.quote(words[0])} key=value"
        )
    return [f"{key}={quoted(words[0])}", *settings]


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings and options, and the plain words: those without ``=``, or that are folders."""
    settings: list[str] = []
    words: list[str] = []
    for word, is_value in _words(argv):
        is_plain = not is_value and not word.startswith(("-", "~")) and ("=" not in word or _is_folder(word))
        (words if is_plain else settings).append(word)
    return settings, words


def _is_folder(word: str) -> bool:
    try:
        return Path(word).is_dir()
    except (OSError, ValueError):
        return False  # too long for a name


def _words(argv: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each word, and whether it is the value of the option before it."""
    before = ""
    for word in argv:
        yield word, bool(FLAGS.get(before))
        before = word
