"""`rlkit train`."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.config.compose import Choices, run_verb
from rlkit.runs import launch
from rlkit.runs.request import Request


def main(argv: Sequence[str]) -> int:
    """Train; after a signal the status is 128 plus its number, as shells do."""
    if any(word in ("-m", "--multirun") or word.startswith("resume_sweep=") for word in argv):
        from rlkit.cli.sweeping import sweeps
        from rlkit.core.ranks import require_alone

        require_alone()
        if sweeps(argv):
            return 0
    run_verb("train", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> float | None:
    """Train one run, print its outcome as one line of JSON where that is asked for, and return its objective.

    Raises:
        SystemExit: a signal stopped the run; the status is 128 and its number.
    """
    run = launch.start(Request(config, choices, overrides))
    launch.ended(run)
    return launch.objective(run)
