"""Random play for the suites: in one Gymnasium environment, and in rlkit's streams."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rlkit.algorithms.fixed_policies import NonLearning, Uniform
from rlkit.core.loop import Interaction, interact
from rlkit.core.random_actions import random_action
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment
from rlkit.testing.rules import freeze, require, require_equal, survived
from rlkit.vector import contract
from rlkit.vector.manners import is_opaque
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.vector import VectorEnvironment

MakeEnv = Callable[..., gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]]
"""Builds a new environment at each call; one that takes `render_mode` is filmed as well."""


class EnvironmentStep(NamedTuple):
    """The outcome of a reset or a step; after a reset, action and reward are None."""

    action: Any
    observation: Any
    reward: Any
    terminated: Any
    truncated: Any

    @property
    def last(self) -> bool:
        """Return whether the episode ended."""
        return bool(self.terminated or self.truncated)


class Driver:
    """Plays random actions, legal ones where ``info["action_mask"]`` says which.

    Attributes:
        last: the last step ended an episode.
        returned: the observations as they were returned, not copies.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], rng: np.random.Generator):
        self.env = env
        self.returned: list[Any] = []
        self._rng = rng
        self.last = False
        self._info: dict[str, Any] = {}

    def reset(self, seed: int | None = None) -> EnvironmentStep:
        """Start an episode."""
        observation, self._info = self.env.reset() if seed is None else self.env.reset(seed=seed)
        self.last = False
        return self._step(None, observation, None, False, False)

    def step(self) -> EnvironmentStep:
        """Take a step, or start the next episode where the last step ended one."""
        if self.last:
            return self.reset()
        action = self.draw()
        observation, reward, terminated, truncated, self._info = self.env.step(action)
        step = self._step(action, observation, reward, terminated, truncated)
        self.last = step.last
        return step

    def draw(self) -> Any:
        """Return an action as rlkit passes it on: a number where the space is `Discrete`."""
        space = self.env.action_space
        mask = self._info.get("action_mask")
        action = random_action(space, self._rng, None if mask is None else np.asarray(mask))
        return int(action + space.start) if isinstance(space, spaces.Discrete) else action

    def play(self, steps: int, seed: int | None = None) -> list[EnvironmentStep]:
        """Play so many steps, from a reset with `seed` unless that is None."""
        first = [] if seed is None else [self.reset(seed)]
        return first + [self.step() for _ in range(steps)]

    def continued_in(self, env: gymnasium.Env[Any, Any]) -> Driver:
        """Return a driver that goes on in `env` as this one would in its own."""
        other = Driver(env, copy.deepcopy(self._rng))
        other.last, other._info = self.last, self._info
        return other

    def _step(self, action: Any, observation: Any, *rest: Any) -> EnvironmentStep:
        self.returned.append(observation)
        return EnvironmentStep(copy.deepcopy(action), copy.deepcopy(observation), *rest)


class RandomAgent(NonLearning, Uniform):
    """An agent that draws actions uniformly and learns nothing."""


def environment(make: MakeEnv, n: int, *, action_mask: bool = False) -> Environment:
    """Return `n` environments as rlkit runs them; a native vector environment has a number of its own."""
    first = make()
    if isinstance(first, VectorEnv):
        built = [first]
        return VectorEnvironment(lambda: built.pop() if built else make(), action_mask=action_mask)  # type: ignore[arg-type, return-value]
    first.close()
    return SerialEnvironment([make] * n, action_mask=action_mask)  # type: ignore[list-item]


def takes_render_mode(make: MakeEnv) -> bool:
    """Return whether `make` can be called with `render_mode`."""
    try:
        wanted = inspect.signature(make).parameters
    except ValueError:
        return False
    return "render_mode" in wanted or any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values())


def random_stream(env: Environment, seed: int, truncate_every: int) -> Interaction:
    """Return the stream of random play in `env`, as a training run would make it."""
    seeds = Seeds(seed)
    return interact(
        RandomAgent(env.action_space),
        env,
        explore=True,
        rng=seeds.generator("actions"),
        reset_seeds=lambda step: seeds.integers("episodes", step, size=env.num_envs),
        truncate_every=truncate_every,
    )


def resumed_play(make: Callable[[], Environment], seed: int, steps: int) -> bool:
    """Check that random play, saved on its way and resumed in new environments, goes on as if uninterrupted.

    Returns whether the state cannot be read, so that play resumes between episodes only.

    Raises:
        ContractError: it does not go on like that.
    """
    part = max(2, steps // 5)
    with closing(make()) as env, closing(make()) as other:
        truncate_every = part if is_opaque(env) else 0
        whole, resumed = (random_stream(which, seed, truncate_every) for which in (env, other))
        while whole.steps < 2 * part:
            next(whole)
        with survived(whole.state_dict()) as state:
            resumed.load_state_dict(state)
        _same_transitions(whole, resumed, 5 * part)
    return truncate_every > 0


def _same_transitions(whole: Interaction, resumed: Interaction, until: int) -> None:
    while whole.steps < until:
        step, expected, got = whole.steps, freeze(next(whole)), freeze(next(resumed))
        require_equal(
            expected,
            got,
            f"after step {step} the resumed play differs from the uninterrupted one; get_state() must return all that "
            "changes while the environment runs, and where there is none, a new one must depend on reset(seed=…) alone",
        )


def require_no(fault: str | None) -> None:
    """Raise a `ContractError` where `fault` says what is wrong."""
    require(fault is None, fault or "")


def require_contained(observation: Any, space: Any, where: str) -> None:
    """Raise a `ContractError` unless `observation` lies in `space`."""
    require_no(contract.observation_fault(observation, space, where))
