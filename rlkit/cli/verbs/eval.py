"""`rlkit eval`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.progress import EpisodeProgress
from rlkit.cli.verbs.words import refuse, with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.config.instantiate import plain
from rlkit.runs.run import Run

OF_DATA = ("gamma", "iterations", "resamples", "refits", "behavior", "regressor")
OF_PLAY = ("episodes", "sample", "max_steps", "num_envs")
"""Keys that only estimates from data, or only episodes that are played, have a use for."""


def main(argv: Sequence[str]) -> int:
    """Score an agent of a run in fresh episodes."""
    run_verb("eval", task, with_run(argv, "eval"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Evaluate and print, as text or as one line of JSON."""
    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    if config.recorded is not None:
        _estimate(run, config, overrides)
        return
    refuse(overrides, OF_DATA, "goes with recorded=; without it episodes are played")
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


def _estimate(run: Run, config: DictConfig, overrides: Sequence[str]) -> None:
    """Estimate the score from recorded episodes and print it, as text or as one line of JSON."""
    refuse(overrides, OF_PLAY, "is of episodes that are played, and recorded= plays none: leave one of them out")
    result = run.estimate(
        config.recorded,
        behavior=plain(config.behavior),
        regressor=plain(config.regressor),
        checkpoint=config.checkpoint,
        seed=config.seed,
        epsilon=config.epsilon,
        gamma=config.gamma,
        iterations=config.iterations,
        resamples=config.resamples,
        refits=config.refits,
        device=config.device,
    )
    if config.output.name == "json":
        print(json.dumps(result))
        return
    counted = f"{result['episodes']} recorded episodes, which count as {result['effective_episodes']:.1f}"
    print(f"{run.name}, checkpoint {run.chosen(config.checkpoint)}, gamma {result['gamma']:g}, {counted}")
    for name, estimate in result["estimates"].items():
        print(f"  {name:<32} {estimate['mean']:.5g}, from {estimate['low']:.5g} to {estimate['high']:.5g}")
