"""`rlkit share`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.verbs.words import with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.runs.run import Run


def main(argv: Sequence[str]) -> int:
    """Pack a run into a zip."""
    run_verb("share", task, with_run(argv, "share"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Pack, and print the path, as text or as one line of JSON."""
    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    path = run.share(config.out, checkpoint=config.checkpoint, video=config.video)
    print(json.dumps({"file": str(path)}) if config.output.name == "json" else path)
