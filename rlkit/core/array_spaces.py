"""Any environment as one whose observations and actions are trees of arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import ARRAY_SPACES, COMPOSED_SPACES, are_composed_well, is_tree_of_arrays, space_tree
from rlkit.core.texts import is_text, tokenizer_of, tokens_of
from rlkit.core.types import EnvironmentFaultError, Tree, UsageError
from rlkit.core.zero_based import (
    DiscreteTuple,
    ZeroBasedActions,
    ZeroBasedActionTree,
    ZeroBasedChoices,
    ZeroBasedObservations,
    ZeroBasedParts,
    ZeroBasedTree,
    counts_from_zero,
)


class Shown(NamedTuple):
    """How a part of an observation is shown as an array: in which space, and what makes it."""

    space: Any
    convert: Callable[[Any], Any]


class ArrayParts(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Show the parts of an observation that are no arrays as arrays: texts as `Tokens`, others flattened."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True  # Of arrays, the only ones that are stacked.

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`.

        Raises:
            UsageError: a part can be shown in no such way.
        """
        super().__init__(env)
        parts = space_tree(env.observation_space)
        self._convert = tree.map(lambda part: _shown(part).convert, parts)
        self.observation_space = composed(tree.map(lambda part: _shown(part).space, parts))

    def observation(self, observation: Any) -> Tree:
        """Return the observation as a tree of arrays."""
        return tree.map_many(lambda convert, part: convert(part), self._convert, observation)


def _shown(space: Any) -> Shown:
    if isinstance(space, ARRAY_SPACES):
        return Shown(space, _same)
    if is_text(space):
        tokenizer = tokenizer_of(space)
        return Shown(tokenizer.space, partial(tokens_of, tokenizer))
    if _can_be_flattened(space):
        return Shown(spaces.flatten_space(space), partial(spaces.flatten, space))
    raise _refusal("observations", space, "TransformObservation")


def _same(value: Any) -> Any:
    return value


def _can_be_flattened(space: Any) -> bool:
    """Return whether Gymnasium makes one array of a space; other packages' spaces need not know."""
    try:
        return bool(space.is_np_flattenable and spaces.flatdim(space))
    except NotImplementedError:
        return False


def composed(parts: Tree) -> Any:
    """Return the space of a tree of spaces: a `Dict` or `Tuple` of them, or the only one."""
    if isinstance(parts, dict):
        return spaces.Dict([(key, composed(part)) for key, part in parts.items()])
    return spaces.Tuple([composed(part) for part in parts]) if isinstance(parts, tuple) else parts


def as_arrays(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Wrap `env` where needed, so that observations and actions are trees of arrays and discrete values start at zero.

    A `Tuple` of only `Discrete` observations becomes one array. Texts, also of other packages' spaces, become the
    numbers of their tokens (`rlkit.core.texts`), and other parts that are no arrays are flattened where they can be.

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
        if not are_composed_well(space):
            raise _refusal("observations", space, "TransformObservation")
        env = ArrayParts(env)
        space = env.observation_space
    if isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        return DiscreteTuple(env)
    if counts_from_zero(space):
        return env
    if isinstance(space, COMPOSED_SPACES):
        return ZeroBasedTree(env)
    return ZeroBasedObservations(env) if isinstance(space, spaces.Discrete) else ZeroBasedParts(env)
