"""`rlkit report`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from rlkit.config import Choices, run_verb
from rlkit.core import UsageError
from rlkit.explain import FLAGS
from rlkit.reporting.commands import literal
from rlkit.reporting.page import write


def main(argv: Sequence[str]) -> int:
    """Write the report; plain words are run folders.

    Raises:
        UsageError: folders are given both as words and as ``runs=``.
    """
    settings, folders = _split(argv)
    if folders and any(word.partition("=")[0] == "runs" for word in settings):
        raise UsageError("give the run folders either as words or as runs=[…], not both")
    run_verb("report", task, [f"runs={literal(folders)}", *settings] if folders else settings)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Write the page and print its path, or all that it says of groups as one line of JSON."""
    path, groups = write(list(config.runs), config.out, config.video_mb)
    print(json.dumps({"report": str(path), "groups": groups}) if config.output.name == "json" else path)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings and options, and the words that are folders: those without ``=``, or that are there."""
    settings: list[str] = []
    folders: list[str] = []
    for word, is_value in _words(argv):
        is_folder = not is_value and not word.startswith(("-", "~")) and ("=" not in word or Path(word).is_dir())
        (folders if is_folder else settings).append(word)
    return settings, folders


def _words(argv: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each word, and whether it is the value of the option before it."""
    before = ""
    for word in argv:
        yield word, bool(FLAGS.get(before))
        before = word
