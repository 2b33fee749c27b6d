"""`rlkit eval`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.progress import EpisodeProgress
from rlkit.cli.verbs.words import with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.runs.run import Run


def main(argv: Sequence[str]) -> int:
    """Score an agent of a run in fresh episodes."""
    run_verb("eval", task, with_run(argv, "eval"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Evaluate and print, as text or as one line of JSON."""
    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    result = run.evaluate(
        config.episodes,
        checkpoint=config.checkpoint,
        seed=config.seed,
        epsilon=config.epsilon,
        sample=config.sample,
        max_steps=config.max_steps,
        num_envs=config.num_envs,
        device=config.device,
        watch=EpisodeProgress(),
    )
    if config.output.name == "json":
        print(json.dumps(result))
        return
    print(f"{run.name}, checkpoint {run.chosen(config.checkpoint)}, {result['episodes']} episodes")
    for name in ("return/raw", "length"):
        print(f"  {name:<11}", "  ".join(f"{key} {value:.5g}" for key, value in result[name].items()))
