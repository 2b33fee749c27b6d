"""The actors of a run, from its configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from rlkit.config.injection import locate
from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Vectorization
from rlkit.core.loop import RESUME
from rlkit.core.remote import RemoteAgent, tolerated_lag
from rlkit.core.types import Agent, Environment, Goals, UsageError
from rlkit.runs import build
from rlkit.runs.remote.fragment_worker import FragmentWorker
from rlkit.runs.remote.remote_environment import RemoteEnvironment
from rlkit.runs.remote.seat import ActorEngine, MakeWorker


def require_actors(config: TrainRunConfig) -> None:
    """Refuse what cannot be split among actors, before any is started.

    Raises:
        UsageError: the environments, the agent or an option are not for actors.
    """
    if config.vectorization is not Vectorization.ray:
        if config.actors != 1:
            raise UsageError(f"actors={config.actors} is for vectorization=ray, which is missing")
        return
    if config.num_envs % config.actors:
        raise UsageError(
            f"actors={config.actors} does not divide num_envs={config.num_envs}; each actor has as many environments"
        )
    lag = _lag(config)
    if lag and config.overlap:
        raise UsageError("overlap=true is for one process: with vectorization=ray this agent overlaps by itself")


def _lag(config: TrainRunConfig) -> int:
    return tolerated_lag(locate(config.agent["_target_"], "agent"))


def makes(config: TrainRunConfig, folder: str | None) -> list[MakeWorker]:
    """Return a function for each actor of a run, which makes its worker; the other as in `FragmentWorker`."""
    size = config.num_envs // config.actors
    parts = [range(i, i + size) for i in range(0, config.num_envs, size)]
    mirrors = not _lag(config)
    return [partial(FragmentWorker, config, part, mirrors=mirrors, folder=folder) for part in parts]


def remote_environment(config: TrainRunConfig) -> RemoteEnvironment:
    """Return the environments of a run in actors of Ray.

    Raises:
        UsageError: Ray is not installed, or the environments cannot be built.
        RunError: Ray does not start.
    """
    from rlkit.runs.remote.ray_engine import RayEngine

    engine = RayEngine(config.actors)
    try:
        return in_actors(engine, config, str(Path.cwd()))
    except BaseException:
        engine.close()
        raise


def in_actors(engine: ActorEngine, config: TrainRunConfig, folder: str | None) -> RemoteEnvironment:
    """Return the environments of a run in actors of `engine`; `folder` as in `FragmentWorker`."""
    return RemoteEnvironment(
        engine,
        makes(config, folder),
        num_envs=config.num_envs,
        lag=_lag(config),
        make_goals=partial(_goals, config),
        remedy=RESUME,
    )


def acting(
    config: TrainRunConfig, agent: Agent, env: Environment, steps: Callable[[], int], *, opaque: bool
) -> RemoteEnvironment:
    """Return the actor for a run's stream in `env`, which `remote_environment` has made.

    Args:
        config: the run's.
        agent: publishes its parameters.
        env: the environments.
        steps: returns the decisions so far.
        opaque: every episode ends at the multiples of ``checkpoint.every``.
    """
    assert isinstance(env, RemoteEnvironment), "vectorization=ray was asked for, and its environments are elsewhere"
    every, lag = config.checkpoint.every, _lag(config)

    def limit(ahead: int) -> int:
        at = steps() + ahead * config.num_envs
        # Without a lag, where fragments end changes nothing, and no state is needed in the middle of one.
        due = [(at // every + 1) * every] if every and (opaque or not lag) else []
        due += [] if lag else [max(config.total_steps, at + 1)]
        return -((at - min(due)) // config.num_envs) if due else sys.maxsize

    return env.acting(cast(RemoteAgent, agent), limit)


def _goals(config: TrainRunConfig) -> Goals:
    return build.make_environment(config.environment.in_process(), num_envs=1).goals()
