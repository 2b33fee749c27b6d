"""Wrappers that count discrete values of observations and actions from zero."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import space_tree
from rlkit.core.types import Array, Tree


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
        """Return the parts as one array [...] int64."""
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
        self._start = space.start
        self._dtype = space.dtype
        self.action_space = spaces.MultiDiscrete(space.nvec)

    def action(self, action: Any) -> Array:
        """Return the environment's own action [...], of its space's dtype, for a zero-based one."""
        return np.asarray(np.add(action, self._start, dtype=np.int64), self._dtype)


class ZeroBasedTree(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Count all discrete values in a `Dict` or `Tuple` observation from zero."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True  # All frames of a stack are shifted alike.

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self._parts = space_tree(env.observation_space)
        self.observation_space = zero_based(env.observation_space)

    def observation(self, observation: Any) -> Tree:
        """Return the observation less the starts of its parts."""
        return tree.map_many(lambda part, value: _shifted(value, -start_of(part), np.int64), self._parts, observation)


class ZeroBasedActionTree(gymnasium.ActionWrapper[Any, Any, Any]):
    """Count all discrete values in a `Dict` or `Tuple` action from zero."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self._parts = space_tree(env.action_space)
        self.action_space = zero_based(env.action_space)

    def action(self, action: Tree) -> Tree:
        """Return the environment's own action for a zero-based one."""
        return tree.map_many(lambda part, value: _shifted(value, start_of(part), part.dtype), self._parts, action)


def start_of(space: Any) -> Any:
    """Return the first value of a discrete space, a number or an array; 0 for other spaces."""
    return getattr(space, "start", 0)


def counts_from_zero(space: Any) -> bool:
    """Return whether all discrete values of a space, throughout a `Dict` or `Tuple`, count from zero."""
    return not any(np.any(start_of(part)) for part in tree.leaves(space_tree(space)))


def _shifted(value: Any, start: Any, dtype: Any) -> Any:
    return np.add(value, start, dtype=np.int64).astype(dtype) if np.any(start) else value


def zero_based(space: Any) -> Any:
    """Return a space whose discrete values, throughout a `Dict` or `Tuple`, count from zero."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict([(key, zero_based(part)) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([zero_based(part) for part in space])
    if not np.any(start_of(space)):
        return space
    return spaces.Discrete(int(space.n)) if isinstance(space, spaces.Discrete) else spaces.MultiDiscrete(space.nvec)
