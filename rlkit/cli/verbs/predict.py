"""`rlkit predict`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from rlkit.cli.verbs.words import with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.fitting.predicting import predict_file
from rlkit.fitting.run import FitRun
from rlkit.runs.outputs import require_output


def main(argv: Sequence[str]) -> int:
    """Predict the rows of a file with the model of a fit run; a plain word is its folder."""
    run_verb("predict", task, with_run(argv, "predict"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Write the predictions and print where they are."""
    from threadpoolctl import threadpool_limits

    run = FitRun(config.run, config.trust)
    out = Path(config.out) if config.out is not None else run.directory / f"predictions_{Path(config.input).stem}.csv"
    require_output(out, "predicted.csv", (Path(config.input).expanduser(),))
    with threadpool_limits(config.threads):
        rows = predict_file(
            run, config.input, out, array=config.array, probabilities=config.probabilities, at=config.at
        )
    if config.output.name == "json":
        print(json.dumps({"predictions": str(out), "rows": rows}))
    else:
        print(f"{rows:,} rows: {out}")
