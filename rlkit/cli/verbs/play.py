"""`rlkit play`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig

from rlkit.cli.progress import EpisodeProgress
from rlkit.cli.verbs.words import refuse, with_run
from rlkit.config.compose import Choices, run_verb
from rlkit.core.resources import has_display
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.rendering.render_wrapper import Format
from rlkit.runs.record_video import Recording, record, render
from rlkit.runs.run import Run

FILM = ("log", "grid", "actions", "height", "captions", "terminal")
EPISODES = ("env", "expert", "save_every", "hold", "format", "source")
"""Keys that only videos, or only recorded episodes, have a use for."""

NO_USE = "means nothing where a person plays (human=true): leave it out"

BY_HAND = ("epsilon", "sample", "max_steps", "out", "grid", "actions", "height", "captions")
RECORDED = ("expert", "sample", "checkpoint", "device")
ALONE, AGAINST = ("checkpoint", "device"), ("fps",)
"""Keys that have no use where a person plays, is recorded, plays with no agent, or against one."""


def main(argv: Sequence[str]) -> int:
    """Record an agent of a run or a log of actions, or let a person play in a window."""
    run_verb("play", task, with_run(argv, "play"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Record videos or episodes and print where they are, or open a window and print the scores.

    Raises:
        UsageError: what is played is not said, or is said twice.
    """
    if config.record:
        from rlkit.play.record_demonstrations import record as record_episodes

        refuse(overrides, FILM, "makes videos, and record=true writes episodes: leave one of them out")
        if config.human:
            refuse(overrides, RECORDED, NO_USE)
        record_episodes(config, choices)
        return
    refuse(overrides, EPISODES, "goes with record=true; without it run= says what is played")
    if (config.run is None) == (config.log is None):
        raise UsageError("play needs either run=<a run folder> or log=<a log of actions>")
    format = Format(config.fps, config.height, captions=config.captions)
    if config.log is not None:
        _check_log(overrides)
        _report(config, iter([render(config.log, out=config.out, format=format, trust=config.trust)]))
    elif config.human:
        refuse(overrides, BY_HAND, NO_USE)
        _play(config, overrides)
    else:
        _report(config, _record(config, format))


def _check_log(overrides: Sequence[str]) -> None:
    """Refuse what a log of actions has no use for."""
    for word in overrides:
        key = word.partition("=")[0]
        if key not in ("log", "out", "fps", "height", "captions", "output", "threads", "trust"):
            raise UsageError(f"{key}= goes with run=, not with log=; a log is one episode, which is over")


def _record(config: DictConfig, format: Format) -> Iterator[Recording]:
    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    return record(
        run,
        config.episodes,
        checkpoint=config.checkpoint,
        seed=config.seed,
        epsilon=config.epsilon,
        sample=config.sample,
        max_steps=config.max_steps,
        out=config.out,
        grid=config.grid,
        actions=config.actions,
        format=format,
        device=config.device,
        watch=EpisodeProgress(),
    )


def _play(config: DictConfig, overrides: Sequence[str]) -> None:
    from rlkit.play.games.of_config import has_turns

    run = Run(config.run, config.trust)
    run.use_threads(config.threads)
    turns = has_turns(run.config.environment)
    refuse(overrides, AGAINST if turns else ALONE, NO_USE)
    scores = _against(run, config) if turns else _in_window(run, config)
    if config.output.name == "json":
        print(json.dumps({"returns": scores}))


def _in_window(run: Run, config: DictConfig) -> list[float]:
    from rlkit.play.human import play_in_window

    if config.terminal:
        raise UsageError(f"{run.name} is not played in turns, so it needs a window; leave out terminal=true")
    return play_in_window(run, episodes=config.episodes, seed=config.seed, fps=config.fps)


def _against(run: Run, config: DictConfig) -> list[float]:
    """Let a person play against the run's agent."""
    from rlkit.play.games.of_config import game_of
    from rlkit.play.games.person import play_person
    from rlkit.play.games.terminal import TerminalTable
    from rlkit.play.games.window import WindowTable

    game, rival = game_of(run.config.environment), run.load_agent(config.checkpoint, config.device)
    rng = Seeds(config.seed).generator("person")
    in_terminal = not has_display() if config.terminal is None else config.terminal
    table = TerminalTable(game) if in_terminal else WindowTable(game, run.name)
    try:
        return play_person(game, rival, table, episodes=config.episodes, rng=rng)
    finally:
        table.close()


def _report(config: DictConfig, recordings: Iterator[Recording]) -> None:
    """Print each as soon as it is there."""
    as_json = config.output.name == "json"
    results: dict[str, Any] = {"videos": [], "returns": [], "lengths": [], "actions": []}
    for recording in recordings:
        if not as_json:
            print(recording, *recording.logs, sep="\n", flush=True)
        results["videos"].append(str(recording.video))
        results["returns"] += recording.scores
        results["lengths"] += recording.lengths
        results["actions"] += map(str, recording.logs)
    if as_json:
        print(json.dumps(results))
