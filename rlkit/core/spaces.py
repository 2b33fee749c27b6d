"""Spaces as trees of arrays, each of one shape and dtype, with discrete values counted from zero."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.types import Array, EnvironmentFaultError, Tree, UsageError

ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

COMPOSED_SPACES = (spaces.Dict, spaces.Tuple)

ANY_ACTIONS = "for other action spaces: agent=ppo, a2c, reinforce or es"
"""The remedy where an agent needs discrete actions."""

JOINT = "rlkit.preprocess.JointActions"

FLATTEN = "flatten them: preprocess=[gymnasium.wrappers.FlattenObservation]"
"""The remedy where observations are a tree and must be one array."""


def space_tree(space: Any) -> Tree:
    """Return a `Dict` or `Tuple` as the tree of its spaces of arrays; any other space is its own only leaf."""
    if isinstance(space, spaces.Dict):
        return {key: space_tree(part) for key, part in space.spaces.items()}
    return tuple(space_tree(part) for part in space) if isinstance(space, spaces.Tuple) else space


def is_tree_of_arrays(space: Any) -> bool:
    """Return whether a space is of arrays, or a `Dict` (its keys strings) or a `Tuple` of such, none of them empty."""
    if isinstance(space, spaces.Dict):
        return all(isinstance(key, str) for key in space) and _all_of_arrays(list(space.values()))
    return _all_of_arrays(list(space)) if isinstance(space, spaces.Tuple) else isinstance(space, ARRAY_SPACES)


def _all_of_arrays(parts: list[Any]) -> bool:
    return bool(parts) and all(map(is_tree_of_arrays, parts))


def empty(space: Any, n: int) -> Tree:
    """Return uninitialized room for `n` values of a space: a tree of arrays [n, ...]."""
    return rooms(space, n)()


def rooms(space: Any, n: int) -> Callable[[], Tree]:
    """Return a function that returns what `empty` does."""
    makes = tree.map(lambda part: partial(np.empty, (n, *(part.shape or ())), part.dtype), space_tree(space))
    return partial(tree.map, operator.call, makes) if isinstance(space, COMPOSED_SPACES) else makes


def require_array(space: Any, *, agent: str) -> Any:
    """Return the observation space `space` if its observations are one array.

    Raises:
        UsageError: the observations are a tree; the message names `agent`.
    """
    if isinstance(space, COMPOSED_SPACES):
        raise UsageError(f"{agent} needs observations that are one array, not {space}; {FLATTEN}")
    return space


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


def as_arrays(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Wrap `env` where needed, so that observations and actions are trees of arrays and discrete values start at zero.

    A `Tuple` of only `Discrete` observations becomes one array, and so do observations that are not arrays but can be
    flattened, such as those of a `Text` space.

    Raises:
        UsageError: the action space or the observation space is not a tree of arrays.
        EnvironmentFaultError: one of them is no space.
    """
    for name in ("observation_space", "action_space"):
        require_space(name, getattr(env, name, None))
    if not is_tree_of_arrays(env.action_space):
        raise _refusal("actions", env.action_space, "TransformAction")
    return _array_observations(_array_actions(env))


def require_space(name: str, space: Any) -> None:
    """Check that `space`, the `name` of an environment, is a space.

    Raises:
        EnvironmentFaultError: it is not.
    """
    if not isinstance(space, spaces.Space):
        raise EnvironmentFaultError(f"{name} is {space!r}; it must be a space of gymnasium.spaces")


def _refusal(what: str, space: Any, wrapper: str) -> UsageError:
    return UsageError(
        f"{what} must be Box, Discrete, MultiDiscrete or MultiBinary, or Dict (keys: strings) and Tuple of them, not "
        f"{space}; wrap the environment with gymnasium.wrappers.{wrapper}"
    )


def _array_actions(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    space = env.action_space
    if counts_from_zero(space):
        return env
    if isinstance(space, COMPOSED_SPACES):
        return ZeroBasedActionTree(env)
    return ZeroBasedActions(env) if isinstance(space, spaces.Discrete) else ZeroBasedChoices(env)


def _array_observations(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    space = env.observation_space
    if not is_tree_of_arrays(space):
        if space.is_np_flattenable and spaces.flatdim(space):
            return gymnasium.wrappers.FlattenObservation(env)
        raise _refusal("observations", space, "TransformObservation")
    if isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        return DiscreteTuple(env)
    if counts_from_zero(space):
        return env
    if isinstance(space, COMPOSED_SPACES):
        return ZeroBasedTree(env)
    return ZeroBasedObservations(env) if isinstance(space, spaces.Discrete) else ZeroBasedParts(env)


def num_states(space: Any, *, agent: str) -> int:
    """Return the number of observations of a `Discrete`, `MultiDiscrete` or `MultiBinary` space.

    Raises:
        UsageError: the space is not finite; the message names `agent`.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return math.prod(space.nvec.ravel().tolist())
    if isinstance(space, spaces.MultiBinary):
        return int(2 ** math.prod(space.shape))
    remedy = f"for agent=dqn, {FLATTEN}" if isinstance(space, COMPOSED_SPACES) else "agent=dqn takes Box observations"
    raise UsageError(f"{agent} needs discrete observations, not {space}; {remedy}")


def num_actions(space: Any, *, agent: str) -> int:
    """Return the number of actions of a `Discrete` space.

    Raises:
        UsageError: the space is not `Discrete`; the message names `agent`.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    several = not any(isinstance(part, spaces.Box) for part in tree.leaves(space_tree(space)))
    remedy = f"number their combinations: preprocess=[{JOINT}], or {ANY_ACTIONS}" if several else ANY_ACTIONS
    raise UsageError(f"{agent} needs discrete actions, not {space}; {remedy}")


def choice_sizes(space: Any) -> list[int]:
    """Return how many values each independent choice of an action has; an action of a `Discrete` space is one choice.

    An action's mask has the flags of all choices, one after the other, ``sum(choice_sizes(space))`` in all: n for
    ``Discrete(n)``, ``sum(nvec)`` for ``MultiDiscrete(nvec)``, 2 n for ``MultiBinary(n)``, off before on, and those of
    the parts of a `Dict` or `Tuple` in their order.

    Raises:
        UsageError: the actions are not discrete choices.
    """
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        return [int(n) for n in space.nvec.ravel()]
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(np.prod(space.shape))
    if isinstance(space, COMPOSED_SPACES):
        return [size for part in tree.leaves(space_tree(space)) for size in choice_sizes(part)]
    raise UsageError(f"a mask needs discrete actions, not {space}; leave action_mask=true out")


def state_index(observation: Array, space: Any) -> Array:
    """Return the index [N] int64 of discrete observations [N] or [N, ...] within `num_states(space)`."""
    if isinstance(space, spaces.Discrete):
        return observation
    flat = observation.reshape(len(observation), -1).T
    sizes = space.nvec.ravel() if isinstance(space, spaces.MultiDiscrete) else np.full(len(flat), 2)
    return np.asarray(np.ravel_multi_index(tuple(flat.astype(np.int64)), tuple(sizes)))


def as_rows(observation: Array, space: Any, dtype: Any = None) -> Array:
    """Return observations [N, ...] as rows of numbers [N, F] for estimators: discrete ones one-hot, the rest flattened.

    Without a `dtype`, one-hot rows are float32, and others keep their dtype.
    """
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else [int(n) for n in space.nvec.ravel()]
        columns = observation.reshape(len(observation), -1).T
        parts = [np.eye(n, dtype=dtype or np.float32)[column] for n, column in zip(sizes, columns, strict=True)]
        return np.concatenate(parts, axis=1)
    return np.asarray(observation, dtype).reshape(len(observation), -1)


def box_actions(space: spaces.Box, numbers: Array) -> Array:
    """Return `numbers` [N, D] as actions [N, ...] of a `Box`, within its bounds; all but floats are rounded."""
    if not np.issubdtype(space.dtype, np.floating):
        rounded = np.rint(np.asarray(numbers, np.float64))
        low, high = (_exact_bound(bound.ravel()) for bound in (space.low, space.high))
        inside = np.clip(rounded, low, high)
    else:
        inside = np.clip(numbers, space.low.ravel(), space.high.ravel())
    return np.asarray(inside.astype(space.dtype).reshape(len(numbers), *space.shape))


def _exact_bound(bound: Array) -> Array:
    """Return bounds [D] of integers or bools as float64, none of them beyond the largest number of their dtype."""
    exact, limit = bound.astype(np.float64), 1 if bound.dtype == bool else np.iinfo(bound.dtype).max
    # float64 rounds the largest of 64 bits to the number after it.
    largest = float(limit) if int(float(limit)) == limit else np.nextafter(float(limit), 0)
    return np.minimum(exact, largest)
