"""`rlkit fit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from rlkit.config.compose import Choices, run_verb
from rlkit.fitting import launch
from rlkit.fitting.run import FitRun
from rlkit.runs.request import Request


def main(argv: Sequence[str]) -> int:
    """Fit a learner to data."""
    run_verb("fit", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Fit one run, and print its outcome as one line of JSON where that is asked for."""
    run = launch.start(Request(config, choices, overrides))
    if config.output.name == "json":
        print(json.dumps(result(run)), flush=True)


def result(run: FitRun) -> dict[str, Any]:
    """Return what ``output=json`` says of a run."""
    return {"run": str(run.directory), "model": run.has_model, "metrics": run.final_metrics}
