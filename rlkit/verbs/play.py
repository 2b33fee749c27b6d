"""`rlkit play`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig

from rlkit.config import Choices, run_verb
from rlkit.core import UsageError
from rlkit.film import Format
from rlkit.recording import Recording, record, render
from rlkit.run import Run


def main(argv: Sequence[str]) -> int:
    """Record an agent of a run or a log of actions, or let a person play in a window."""
    run_verb("play", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Record videos and print their paths, or open a window and print the scores."""
    if (config.run is None) == (config.log is None):
        raise UsageError("play needs either run=<a run folder> or log=<a log of actions>")
    if config.height is not None and config.height < 2:
        raise UsageError(f"height is {config.height}; a picture has at least 2 rows of pixels")
    format = Format(config.fps, config.height, captions=config.captions)
    if config.log is not None:
        _check_log(overrides)
        _report(config, iter([render(config.log, out=config.out, format=format)]))
    elif config.human:
        _play(config)
    else:
        _report(config, _record(config, format))


def _check_log(overrides: Sequence[str]) -> None:
    """Refuse what a log of actions has no use for."""
    for word in overrides:
        key = word.partition("=")[0]
        if key not in ("log", "out", "fps", "height", "captions", "output", "threads"):
            raise UsageError(f"{key}= goes with run=, not with log=; a log is one episode, which is over")


def _record(config: DictConfig, format: Format) -> Iterator[Recording]:
    run = Run(config.run)
    run.use_threads(config.threads)
    return record(
        run,
        config.episodes,
        checkpoint=config.checkpoint,
        seed=config.seed,
        epsilon=config.epsilon,
        max_steps=config.max_steps,
        out=config.out,
        grid=config.grid,
        actions=config.actions,
        format=format,
        device=config.device,
    )


def _play(config: DictConfig) -> None:
    from rlkit.human import play_in_window

    run = Run(config.run)
    run.use_threads(config.threads)
    scores = play_in_window(run, episodes=config.episodes, seed=config.seed, fps=config.fps)
    if config.output.name == "json":
        print(json.dumps({"returns": scores}))


def _report(config: DictConfig, recordings: Iterator[Recording]) -> None:
    """Tell of each as soon as it is there."""
    as_json = config.output.name == "json"
    told: dict[str, Any] = {"videos": [], "returns": [], "lengths": [], "actions": []}
    for recording in recordings:
        if not as_json:
            print(recording, *recording.logs, sep="\n", flush=True)
        told["videos"].append(str(recording.video))
        told["returns"] += recording.scores
        told["lengths"] += recording.lengths
        told["actions"] += map(str, recording.logs)
    if as_json:
        print(json.dumps(told))
