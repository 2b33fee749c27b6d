"""`rlkit play`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.config import Choices, run_verb
from rlkit.run import Run


def main(argv: Sequence[str]) -> int:
    """Record an agent of a run, or let a person play in a window."""
    run_verb("play", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Record videos and print their paths, or open a window and print the scores."""
    run = Run(config.run)
    run.use_threads(config.threads)
    if config.human:
        from rlkit.human import play_in_window

        scores = play_in_window(run, episodes=config.episodes, seed=config.seed, fps=config.fps)
        if config.output.name == "json":
            print(json.dumps({"returns": scores}))
        return
    paths = run.play(
        config.episodes,
        checkpoint=config.checkpoint,
        seed=config.seed,
        epsilon=config.epsilon,
        max_steps=config.max_steps,
        out=config.out,
        fps=config.fps,
        device=config.device,
    )
    if config.output.name == "json":
        print(json.dumps({"videos": [str(path) for path in paths]}))
        return
    for path in paths:
        print(path)
