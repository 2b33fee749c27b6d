"""`rlkit watch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from rlkit.cli.verbs.words import with_word
from rlkit.config.compose import Choices, run_verb
from rlkit.reporting.watching.serve import serve


def main(argv: Sequence[str]) -> int:
    """Serve the live page; a plain word is the folder."""
    run_verb("watch", task, with_word(argv, "watch", "folder", "one folder of runs"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Serve until Ctrl-C."""
    serve(Path(config.folder), config.host, config.port, list(config.names), lambda line: print(line, flush=True))
