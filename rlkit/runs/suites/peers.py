"""Agents of other libraries as rows of a suite, by an adapter that trains them in rlkit's environments.

An adapter is a function in a file, which a suite names: ``call: my_adapter.py:train``. It gets a `PeerTask` and returns
a `PeerResult`; rlkit plays the episodes that score its policies, those that score its own agents.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlkit.config import own_code
from rlkit.config.run_config import TrainRunConfig
from rlkit.core import tree
from rlkit.core.types import Memory, RunError, TimeStep, Tree, UsageError
from rlkit.runs import build
from rlkit.runs.suites.plan import CHECKPOINTS
from rlkit.runs.sweep import MARK

Policy = Callable[[Any], Any]
"""From an observation to an action, of one environment."""


class PeerTask(NamedTuple):
    """What an adapter trains."""

    make_env: Callable[[], gymnasium.Env[Any, Any]]  # makes a new environment, with the wrappers of the suite
    seed: int
    total_steps: int
    eval_every: int  # steps between evaluations
    eval_episodes: int  # of each evaluation
    folder: Path  # an empty one, for what it keeps
    options: Mapping[str, Any]  # what stands beside ``call`` in the suite


class PeerResult(NamedTuple):
    """What came out."""

    last: Policy  # the agent at the end
    best: Policy | None = None  # the best one by evaluation; None: the last
    evaluations: Sequence[tuple[int, float]] = ()  # (step, mean return), oldest first


def trained_peer(call: str, config: TrainRunConfig, options: Mapping[str, Any]) -> PeerResult:
    """Let an adapter train, from the beginning.

    Args:
        call: the function, as ``my_adapter.py:train``.
        config: of a run in the environment, whose folder is there.
        options: for the adapter.

    Raises:
        UsageError: there is no such function.
        RunError: it returned something else than a `PeerResult`.
    """
    adapter = own_code.located(call, "call")
    folder = Path(config.run_dir)
    for path in folder.iterdir():
        if path.name != MARK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    environment = config.environment.for_evaluation()

    def make_env() -> gymnasium.Env[Any, Any]:
        env = build.make_single(environment)
        if not isinstance(env, gymnasium.Env):
            raise UsageError(f"{call} needs single environments, and {config.choices['env']} is a vector of them")
        return env

    settings = (config.seed, config.total_steps, config.eval.every, config.eval.episodes)
    result = adapter(PeerTask(make_env, *settings, folder, dict(options)))
    if not isinstance(result, PeerResult):
        raise RunError(f"{call} returned {type(result).__name__}; it must return rlkit.runs.suites.peers.PeerResult")
    return result


def policies(result: PeerResult) -> dict[str, PeerActor]:
    """Return an actor for each checkpoint."""
    found = {"last": result.last, "best": result.best or result.last}
    return {name: PeerActor(found[name]) for name in CHECKPOINTS}


class PeerActor:
    """A peer's policy as an actor of N environments."""

    def __init__(self, policy: Policy):
        """Act as `policy` does."""
        self._policy = policy

    def initial_memory(self, n: int) -> Memory:
        """Return no memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the policy's action for each environment, [N, ...]."""
        count = tree.length(timestep.observation)
        actions = [self._policy(tree.take(timestep.observation, i)) for i in range(count)]
        return np.stack([np.asarray(action) for action in actions]), memory
