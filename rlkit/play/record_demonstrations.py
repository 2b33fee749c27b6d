"""``rlkit play record=true``: who plays, where, and into which folder."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from rlkit.config import instantiate
from rlkit.config.compose import Choices
from rlkit.config.run_config import EnvironmentConfig, findable
from rlkit.core.evaluation import with_epsilon
from rlkit.core.types import Actor, Environment, UsageError, require_least
from rlkit.learners.datasets.demonstrations import EpisodeFolder, Recorded, read_episodes
from rlkit.learners.datasets.demonstrations.folder import appending
from rlkit.learners.datasets.demonstrations.minari_format import MinariFolder
from rlkit.learners.datasets.demonstrations.rows import require_made_for
from rlkit.play.demonstrate import Noise, about, make_player, record_episodes
from rlkit.runs import build
from rlkit.runs.run import Run

SPACES = ("observation_space", "action_space")


class Stage(NamedTuple):
    """What is played, and who plays it where nobody else is named."""

    environment: EnvironmentConfig
    name: str
    run: Run | None
    epsilon: float
    max_steps: int


class Cast(NamedTuple):
    """Who plays where."""

    name: str  # of the player
    player: Actor
    env: Environment
    learner: Actor | None = None  # acts in the player's place


def record(config: DictConfig, choices: Choices) -> None:
    """Record episodes, and print a line for each.

    Raises:
        UsageError: no environment or player is named, or the folder holds something else.
    """
    if config.source is not None:
        copy(config)
        return
    stage = _stage(config, choices)
    noise = Noise(stage.epsilon, config.hold).checked()
    require_least(1, "", episodes=config.episodes, save_every=config.save_every)
    out = Path(config.out or Path("recordings") / stage.name)
    recorded: list[Mapping[str, Any]] = []
    with (
        _playing(config, choices, stage) as (name, player, env, learner),
        appending(out, about(stage.environment, env), config.save_every, _form(config, env)) as folder,
    ):
        settings = {"episodes": config.episodes, "seed": config.seed, "noise": noise, "max_steps": stage.max_steps}
        for facts in record_episodes(player, env, folder, name=name, learner=learner, **settings):
            recorded.append(facts)
            if config.output.name != "json":
                print(f"episode {len(recorded)}: return {facts['return']:g} in {facts['length']} steps", flush=True)
    _summarize(out, recorded, as_json=config.output.name == "json")


def copy(config: DictConfig) -> None:
    """Write episodes that were recorded before into another folder, in the format that is asked for.

    Raises:
        UsageError: there are none, or the folder holds something else.
        RunError: they are damaged, or the disk is full.
    """
    if config.run is not None or config.human or config.expert is not None or config.out is None:
        raise UsageError("source= needs out=, and nobody who plays: leave out run=, human= and expert=")
    recorded = read_episodes(config.source)
    with _named_environment(config) as (known, env):
        spaces = {key: known[key] for key in SPACES if key in known}
        require_made_for(recorded, config.source, setting="source", **spaces)
        _write(recorded, config, {**recorded.about, **known}, _form(config, env))
    copied = [{"return": facts["return"], "length": facts["length"]} for facts in recorded.episodes]
    _summarize(Path(config.out), copied, as_json=config.output.name == "json")


def _write(recorded: Recorded, config: DictConfig, about: Mapping[str, Any], form: Callable[..., Any]) -> None:
    with appending(Path(config.out), about, config.save_every, form) as folder:
        for episode in recorded.split():
            folder.add(episode)


@contextmanager
def _named_environment(config: DictConfig) -> Iterator[tuple[Mapping[str, Any], Environment | None]]:
    """Yield what is known of the environment that `config` names, and it; nothing where it names none."""
    if config.env is None:
        yield {}, None
        return
    environment = EnvironmentConfig(findable({"env": instantiate.plain(config.env)})["env"])
    env = build.make_environment(environment.for_evaluation(), num_envs=1)
    try:
        yield about(environment, env), env
    finally:
        env.close()


def _form(config: DictConfig, env: Environment | None) -> Callable[..., Any]:
    """Return what makes the folder that episodes are written to."""
    if config.format.name == "episodes":
        return EpisodeFolder
    spaces: dict[str, Any] = {key: None if env is None else getattr(env, key) for key in SPACES}
    return partial(MinariFolder, **spaces)


def _summarize(out: Path, recorded: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        columns = {
            name: [facts[key] for facts in recorded] for name, key in (("returns", "return"), ("lengths", "length"))
        }
        print(json.dumps({"folder": str(out), **columns}))
    elif recorded:
        words = f"rlkit train agent=cloning env=… {shlex.quote(f'agent.episodes={out}')}"
        print(f"{len(recorded)} episodes recorded in {out}; learn from them: {words}")


def _stage(config: DictConfig, choices: Choices) -> Stage:
    if (config.run is None) == (config.env is None):
        raise UsageError("record=true needs either run=<a run folder> or env=<an environment>, not both")
    if config.run is not None:
        run = Run(config.run, config.trust)
        run.use_threads(config.threads)
        settings = run.config.eval
        epsilon = settings.epsilon if config.epsilon is None else config.epsilon
        return Stage(run.config.environment, run.name, run, epsilon, config.max_steps or settings.max_steps)
    if config.sample:
        raise UsageError("sample=true draws actions from the policy of a run's agent; set run=, or leave it out")
    environment = EnvironmentConfig(findable({"env": instantiate.plain(config.env)})["env"])
    return Stage(environment, choices["env"], None, config.epsilon or 0.0, config.max_steps or sys.maxsize)


@contextmanager
def _playing(config: DictConfig, choices: Choices, stage: Stage) -> Iterator[Cast]:
    if config.human:
        from rlkit.play.human import at_the_keys

        with at_the_keys(stage.environment, stage.name, config.fps) as (person, env):
            yield Cast("person", person, env)
        return
    env = build.make_environment(stage.environment.for_evaluation(), num_envs=1)
    try:
        yield _cast(config, choices, stage, env)
    finally:
        env.close()


def _agent(config: DictConfig, run: Run, env: Environment) -> Actor:
    """Return the agent of a run; random actions are mixed in where the episode is played, as they are held."""
    sample = run.config.eval.sample if config.sample is None else config.sample
    return with_epsilon(run.load_agent(config.checkpoint, config.device), env.action_space, 0.0, sample=sample)


def _cast(config: DictConfig, choices: Choices, stage: Stage, env: Environment) -> Cast:
    agent = None if stage.run is None else _agent(config, stage.run, env)
    if config.expert is not None:
        node = instantiate.plain(config.expert)
        return Cast(str(choices.get("expert") or node.get("_target_")), make_player(node, env), env, agent)
    if agent is None:
        raise UsageError(
            "nothing says who plays: human=true, expert=<a scripted player>, or run=<a run folder> for its agent"
        )
    return Cast(stage.name, agent, env)
