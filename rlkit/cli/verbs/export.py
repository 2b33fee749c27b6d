"""`rlkit export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.verbs.words import with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.runs.exporting.export import Exported, export
from rlkit.runs.run import Run


def main(argv: Sequence[str]) -> int:
    """Write what an agent of a run decides to one file."""
    run_verb("export", task, with_run(argv, "export"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Export, and print the path, or all that is known of the file as one line of JSON."""
    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    made = export(run, config.out, format=config.format.name, checkpoint=config.checkpoint, seed=config.seed)
    _say(run, made)
    if config.output.name == "json":
        print(json.dumps({"file": str(made.path), "compared": made.compared, "outside": made.outside}))
    else:
        print(f"{made.path} ({made.compared} decisions are those of the agent)")


def _say(run: Run, made: Exported) -> None:
    if made.outside:
        names = ", ".join(made.outside)
        print(f"rlkit: not in the file, for its user to apply to observations and actions: {names}", file=sys.stderr)
    if run.config.eval.sample or run.config.eval.epsilon:
        print(
            "rlkit: the file draws nothing, and evaluations of this run did (eval.sample, eval.epsilon): "
            "run.policy(sample=True) draws from Python",
            file=sys.stderr,
        )
