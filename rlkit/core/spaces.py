"""Spaces as arrays: what an agent sees is an array of one shape and dtype, discrete values counted from zero."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, UsageError

ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class ZeroBasedParts(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Count each part of a `MultiDiscrete(nvec, start=start)` observation from zero."""

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self._start, sizes = self._parts(env.observation_space)
        self.observation_space = spaces.MultiDiscrete(sizes)

    def _parts(self, space: Any) -> tuple[Array, Array]:
        """Return the least values and the sizes of the parts."""
        return space.start, space.nvec

    def observation(self, observation: Any) -> Array:
        """Return the parts as one int64 array."""
        return np.asarray(np.subtract(observation, self._start, dtype=np.int64))


class DiscreteTuple(ZeroBasedParts):
    """Show a `Tuple` of `Discrete` observations (Blackjack's) as one `MultiDiscrete` array from zero."""

    state_fields: tuple[str, ...] = ()

    def _parts(self, space: Any) -> tuple[Array, Array]:
        return np.array([part.start for part in space]), np.array([part.n for part in space])


class ZeroBasedObservations(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Count a `Discrete(n, start)` observation from zero."""

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        space: Any = env.observation_space
        self._start = int(space.start)
        self.observation_space = spaces.Discrete(int(space.n))

    def observation(self, observation: Any) -> int:
        """Return the observation less the start of its space."""
        return int(observation) - self._start


class ZeroBasedActions(gymnasium.ActionWrapper[Any, Any, Any]):
    """Count a `Discrete(n, start)` action from zero."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        space: Any = env.action_space
        self._start = int(space.start)
        self.action_space = spaces.Discrete(int(space.n))

    def action(self, action: Any) -> int:
        """Return the environment's own action for a zero-based one."""
        return int(action) + self._start


class ZeroBasedChoices(gymnasium.ActionWrapper[Any, Any, Any]):
    """Count each choice of a `MultiDiscrete(nvec, start=start)` action from zero."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        space: Any = env.action_space
        self._start, self._dtype = space.start, space.dtype
        self.action_space = spaces.MultiDiscrete(space.nvec)

    def action(self, action: Any) -> Array:
        """Return the environment's own action, of its dtype, for a zero-based one."""
        return np.asarray(np.add(action, self._start, dtype=np.int64), self._dtype)


def as_arrays(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Wrap `env` where needed, so that observations are arrays and discrete values start at zero.

    Raises:
        UsageError: the action space or the observation space cannot be an array.
    """
    if not isinstance(env.action_space, ARRAY_SPACES):
        raise UsageError(
            f"actions must be Box, Discrete, MultiDiscrete or MultiBinary, not {env.action_space}; "
            "wrap the environment with gymnasium.wrappers.TransformAction"
        )
    if isinstance(env.action_space, spaces.Discrete) and env.action_space.start != 0:
        env = ZeroBasedActions(env)
    if isinstance(env.action_space, spaces.MultiDiscrete) and env.action_space.start.any():
        env = ZeroBasedChoices(env)
    return _array_observations(env)


def _array_observations(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    space = env.observation_space
    if isinstance(space, spaces.Discrete):
        return env if space.start == 0 else ZeroBasedObservations(env)
    if isinstance(space, spaces.MultiDiscrete) and space.start.any():
        return ZeroBasedParts(env)
    if isinstance(space, ARRAY_SPACES):
        return env
    if isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        return DiscreteTuple(env)
    if space.is_np_flattenable:
        return gymnasium.wrappers.FlattenObservation(env)
    raise UsageError(
        f"observations must be arrays, or Dict and Tuple spaces of them, not {space}; "
        "wrap the environment with gymnasium.wrappers.TransformObservation"
    )


def num_states(space: Any, *, agent: str) -> int:
    """Return the number of observations of a `Discrete`, `MultiDiscrete` or `MultiBinary` space.

    Raises:
        UsageError: the space is not finite; `agent` is named in the message.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(np.prod(space.nvec))
    if isinstance(space, spaces.MultiBinary):
        return int(2 ** np.prod(space.shape))
    raise UsageError(f"{agent} needs discrete observations, not {space}; agent=dqn takes Box observations")


def num_actions(space: Any, *, agent: str) -> int:
    """Return the number of actions of a `Discrete` space.

    Raises:
        UsageError: the space is not `Discrete`; `agent` is named in the message.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    raise UsageError(f"{agent} needs discrete actions, not {space}; agent=random takes any action space")


def choice_sizes(space: Any) -> list[int]:
    """Return how many values each independent choice of an action has: one choice where the space is `Discrete`.

    An action's mask is theirs, one after the other, so it has ``sum(choice_sizes(space))`` flags: n of ``Discrete(n)``,
    ``sum(nvec)`` of ``MultiDiscrete(nvec)``, 2 n of ``MultiBinary(n)``, off before on.

    Raises:
        UsageError: the actions are no choices.
    """
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        return [int(n) for n in space.nvec.ravel()]
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(np.prod(space.shape))
    raise UsageError(f"a mask needs actions that are counted, not {space}; leave action_mask=true out")


def state_index(observation: Array, space: Any) -> Array:
    """Return the index [N] int64 of discrete observations [N] or [N, ...] within `num_states(space)`."""
    if isinstance(space, spaces.Discrete):
        return observation
    flat = observation.reshape(len(observation), -1).T
    sizes = space.nvec.ravel() if isinstance(space, spaces.MultiDiscrete) else np.full(len(flat), 2)
    return np.asarray(np.ravel_multi_index(tuple(flat.astype(np.int64)), tuple(sizes)))


def as_rows(observation: Array, space: Any, dtype: Any = None) -> Array:
    """Return observations [N, ...] as rows of numbers [N, F] for estimators: discrete ones one-hot, the rest flattened.

    Where no `dtype` is given, one-hot rows are float32, and the others keep theirs.
    """
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else [int(n) for n in space.nvec.ravel()]
        columns = observation.reshape(len(observation), -1).T
        parts = [np.eye(n, dtype=dtype or np.float32)[column] for n, column in zip(sizes, columns, strict=True)]
        return np.concatenate(parts, axis=1)
    return np.asarray(observation, dtype).reshape(len(observation), -1)
