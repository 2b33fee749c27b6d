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
    run_verb("train", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Train one run, and print its outcome as one line of JSON where that is asked for.

    Raises:
        SystemExit: a signal stopped the run; the status is 128 and its number.
    """
    run = launch.start(Request(config, choices, overrides))
    if config.output.name == "json":
        print(json.dumps(result(run)), flush=True)
    if run.stopped in signal.Signals.__members__:
        raise SystemExit(128 + signal.Signals[str(run.stopped)])


def result(run: Run) -> dict[str, Any]:
    """Return what ``output=json`` says of a run."""
    scores = run.evaluation_means()
    return {
        "run": str(run.directory),
        "stopped": run.stopped,
        "evaluations": [{"step": step, "return/raw": score} for step, score in scores],
    }
