"""Spaces as trees of arrays, each of one shape and dtype, with discrete values counted from zero."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.texts import Tokens
from rlkit.core.types import Array, Tree, UsageError

ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

COMPOSED_SPACES = (spaces.Dict, spaces.Tuple)

ANY_ACTIONS = "for other action spaces: agent=ppo, a2c, reinforce or es"
"""The remedy where an agent needs discrete actions."""

JOINT = "rlkit.preprocess.JointActions"

DEEP = "agents with networks, as agent=dqn, ppo and a2c, take them as they are"
"""The remedy where observations are a tree and must be discrete."""

FLATTEN = "flatten them: preprocess=[gymnasium.wrappers.FlattenObservation]"
"""The remedy where observations are a tree and must be one array."""


class SymbolSpace(spaces.Box):
    """The space of grids whose bytes are symbols, not brightness: `network=auto` looks them up.

    Attributes:
        highest: the largest symbol.
    """

    def __init__(self, highest: int, shape: tuple[int, ...]):
        dtype: Any = np.uint8
        super().__init__(0, highest, shape, dtype)
        self.highest = highest

    def __repr__(self) -> str:
        """Return its name, largest symbol and shape."""
        return f"SymbolSpace({self.highest}, {self.shape})"


def space_tree(space: Any) -> Tree:
    """Return a `Dict` or `Tuple` as the tree of its spaces of arrays; any other space is its own only leaf."""
    if isinstance(space, spaces.Dict):
        return {key: space_tree(part) for key, part in space.spaces.items()}
    return tuple(space_tree(part) for part in space) if isinstance(space, spaces.Tuple) else space


def is_tree_of_arrays(space: Any) -> bool:
    """Return whether a space is of arrays, or a `Dict` (its keys strings) or a `Tuple` of such, none of them empty."""
    return are_composed_well(space) and all(isinstance(part, ARRAY_SPACES) for part in tree.leaves(space_tree(space)))


def are_composed_well(space: Any) -> bool:
    """Return whether the keys of each `Dict` in a space are strings, and no `Dict` or `Tuple` is empty."""
    if not isinstance(space, COMPOSED_SPACES):
        return True
    parts = list(space.values()) if isinstance(space, spaces.Dict) else list(space)
    named = not isinstance(space, spaces.Dict) or all(isinstance(key, str) for key in space)
    return named and bool(parts) and all(map(are_composed_well, parts))


def empty(space: Any, n: int) -> Tree:
    """Return uninitialized room for `n` values of a space: a tree of arrays [n, ...]."""
    return rooms(space, n)()


def rooms(space: Any, n: int) -> Callable[[], Tree]:
    """Return a function that returns what `empty` does."""
    makes = tree.map(lambda part: partial(np.empty, (n, *(part.shape or ())), part.dtype), space_tree(space))
    return partial(tree.map, operator.call, makes) if isinstance(space, COMPOSED_SPACES) else makes


def require_array(space: Any, *, agent: str, remedy: str = DEEP) -> Any:
    """Return the observation space `space` if its observations are one array.

    Raises:
        UsageError: the observations are a tree; the message names `agent` and the `remedy`.
    """
    if isinstance(space, COMPOSED_SPACES):
        raise UsageError(f"{agent} needs observations that are one array, not {space}; {remedy}, or {FLATTEN}")
    return space


def num_states(space: Any, *, agent: str) -> int:
    """Return the number of observations of a `Discrete`, `MultiDiscrete` or `MultiBinary` space.

    Raises:
        UsageError: the space is not finite; the message names `agent`.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete) and not isinstance(space, Tokens):
        return math.prod(space.nvec.ravel().tolist())
    if isinstance(space, spaces.MultiBinary):
        return int(2 ** math.prod(space.shape))
    remedy = DEEP if isinstance(space, COMPOSED_SPACES) else "agent=dqn takes Box observations"
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


def as_rows(observation: Tree, space: Any, dtype: Any = None) -> Array:
    """Return observations [N, ...] as rows of numbers [N, F] for estimators: discrete ones one-hot, the rest flattened.

    Texts are counts of their tokens, and the parts of a `Dict` or `Tuple` stand beside each other. Without a `dtype`,
    one-hot rows, counts and joined ones are float32, and others keep their dtype.
    """
    if isinstance(space, COMPOSED_SPACES):
        pairs = zip(tree.leaves(observation), tree.leaves(space_tree(space)), strict=True)
        return np.concatenate([as_rows(leaf, part, dtype or np.float32) for leaf, part in pairs], axis=1)
    if isinstance(space, Tokens):
        counts = [np.bincount(row, minlength=space.vocabulary)[1:] for row in observation]
        return np.array(counts, dtype or np.float32)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else [int(n) for n in space.nvec.ravel()]
        columns = observation.reshape(len(observation), -1).T
        parts = [np.eye(n, dtype=dtype or np.float32)[column] for n, column in zip(sizes, columns, strict=True)]
        return np.concatenate(parts, axis=1)
    return np.asarray(observation, dtype).reshape(len(observation), -1)


def row_width(space: Any) -> int:
    """Return F, the number of columns of `as_rows`."""
    return int(as_rows(tree.map(np.zeros_like, empty(space, 1)), space).shape[1])


def box_actions(space: spaces.Box, numbers: Array) -> Array:
    """Return `numbers` [N, D] as actions [N, ...] of a `Box`, within its bounds; all but floats are rounded."""
    if not np.issubdtype(space.dtype, np.floating):
        rounded = np.rint(np.asarray(numbers, np.float64))
        low, high = (exact_bound(bound.ravel()) for bound in (space.low, space.high))
        inside = np.clip(rounded, low, high)
    else:
        inside = np.clip(numbers, space.low.ravel(), space.high.ravel())
    return np.asarray(inside.astype(space.dtype).reshape(len(numbers), *space.shape))


def exact_bound(bound: Array) -> Array:
    """Return bounds [D] of integers or bools as float64, none of them beyond the largest number of their dtype."""
    exact, limit = bound.astype(np.float64), 1 if bound.dtype == bool else np.iinfo(bound.dtype).max
    # float64 rounds the largest of 64 bits to the number after it.
    largest = float(limit) if int(float(limit)) == limit else np.nextafter(float(limit), 0)
    return np.minimum(exact, largest)
