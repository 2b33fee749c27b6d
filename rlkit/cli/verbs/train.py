"""`rlkit train`."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rlkit.config.compose import Choices, run_verb
from rlkit.runs import launch
from rlkit.runs.request import Request

if TYPE_CHECKING:
    from rlkit.runs.run import Run


def main(argv: Sequence[str]) -> int:
    """Train; after a signal the status is 128 plus its number, as shells do."""
    if any(word in ("-m", "--multirun") or word.startswith("resume_sweep=") for word in argv):
        from rlkit.cli.sweeping import sweeps

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
    ended(run)
    return objective(run)


def ended(run: Run) -> None:
    """Print the outcome of a run as one line of JSON where that is asked for.

    Raises:
        SystemExit: a signal stopped the run; the status is 128 and its number.
    """
    if run.values["output"] == "json":
        print(json.dumps(result(run)), flush=True)
    if run.stopped in signal.Signals.__members__:
        raise SystemExit(128 + signal.Signals[str(run.stopped)])


def objective(run: Run) -> float | None:
    """Return what sweepers maximize: the mean return of a run's last evaluation; None without evaluations."""
    means = run.evaluation_means()
    return means[-1][1] if means else None


def result(run: Run) -> dict[str, Any]:
    """Return what ``output=json`` says of a run."""
    scores = run.evaluation_means()
    return {
        "run": str(run.directory),
        "stopped": run.stopped,
        "evaluations": [{"step": step, "return/raw": score} for step, score in scores],
    }
