"""The form of what environments return: `rlkit check` looks at every step, training at the first ones.

Each function returns in one line what is wrong, with the value and the remedy, or None.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import ARRAY_SPACES, COMPOSED_SPACES, is_tree_of_arrays, space_tree
from rlkit.core.types import a_kind
from rlkit.core.zero_based import counts_from_zero


def reset_fault(result: Any) -> str | None:
    """Return why `result` is not what ``reset`` must return."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        return None
    return f"reset returned {_kinds(result)}; it must return (observation, info), info a dict"


def step_fault(result: Any) -> str | None:
    """Return why `result` is not what ``step`` must return."""
    if isinstance(result, tuple) and len(result) == 5 and isinstance(result[4], dict):
        return None
    return f"step returned {_kinds(result)}; it must return (observation, reward, terminated, truncated, info)"


def _kinds(value: Any) -> str:
    return f"({', '.join(type(part).__name__ for part in value)})" if isinstance(value, tuple) else type(value).__name__


def reward_fault(reward: Any, where: str) -> str | None:
    """Return why `reward` is not a finite number."""
    try:
        if isinstance(reward, (int, float, np.integer, np.floating)) and isfinite(reward):
            return None
    except OverflowError:  # an int beyond all floats
        return f"{where} returned an int of {reward.bit_length()} bits as reward; it must be a finite float"
    return f"{where} returned the reward {reward!r} ({_form(reward)}); it must be a finite float"


def end_fault(name: str, value: Any, where: str) -> str | None:
    """Return why `value`, of `name` terminated or truncated, is not a boolean."""
    if isinstance(value, (bool, np.bool_)):
        return None
    return f"{where} returned {name}={value!r} ({_form(value)}); it must be True or False"


def _form(value: Any) -> str:
    shape = np.shape(value) if isinstance(value, np.ndarray) else ()
    return type(value).__name__ + (f" of shape {list(shape)}" if shape else "")


def observation_fault(observation: Any, space: Any, where: str) -> str | None:
    """Return why `observation` does not lie in `space`."""
    if isinstance(space, COMPOSED_SPACES):
        return _tree_fault(observation, space, where) or _first_fault(observation_fault, observation, space, where)
    if isinstance(space, ARRAY_SPACES) and not isinstance(space, spaces.Discrete):
        if not isinstance(observation, np.ndarray):
            return f"{where} returned {a_kind(observation)} as observation; {space} needs a numpy array"
        found, wanted = (f"{part.dtype} {list(part.shape)}" for part in (observation, space))
        if found != wanted:
            return f"{where} returned an observation {found}, but its space says {wanted}; make them agree"
    return None if space.contains(observation) else outside(observation, space, where)


def outside(observation: Any, space: Any, where: str) -> str:
    """Return that `observation` does not lie in `space`."""
    shown = " ".join(repr(observation).split())
    return f"{where} returned the observation {shown}, outside of {space}; widen the space or fix the observation"


def _tree_fault(observation: Any, space: Any, where: str) -> str | None:
    if same_form(observation, space):
        return None
    return f"{where} returned an observation with other parts than {space}; return these, and no others"


def _first_fault(fault: Any, observation: Any, space: Any, where: str) -> str | None:
    found = tree.map_many(lambda part, value: [fault(value, part, where)], space_tree(space), observation)
    return next((line for line in tree.leaves(found) if line is not None), None)


def same_form(value: Any, space: Any) -> bool:
    """Return whether `value` is a tree of dicts with the keys, and tuples of the length, that `space` is made of."""
    if isinstance(space, spaces.Dict):
        named = isinstance(value, dict) and value.keys() == space.keys()
        return named and all(same_form(value[key], part) for key, part in space.items())
    if isinstance(space, spaces.Tuple):
        listed = isinstance(value, tuple) and len(value) == len(space)
        return listed and all(map(same_form, value, space))
    return True


def lossy_observation(observation: Any, space: Any, where: str) -> str | None:
    """Return why the array that training makes of `observation` would not hold what it says, or not as its space says.

    Other dtypes of the same kind, lists and numbers for arrays do no harm. Nor do finite numbers outside of a `Box`:
    for them, see `beyond_bounds`.
    """
    if isinstance(space, COMPOSED_SPACES):
        return _tree_fault(observation, space, where) or _first_fault(lossy_observation, observation, space, where)
    if isinstance(space, spaces.Discrete) or not isinstance(space, ARRAY_SPACES):
        return None if space.contains(observation) else outside(observation, space, where)
    value = _array(observation)
    if value is None or value.shape != space.shape or not np.can_cast(value.dtype, space.dtype, "same_kind"):
        return observation_fault(observation, space, where) or outside(observation, space, where)
    if isinstance(space, spaces.Box):
        number = np.isnan(value).any() if value.dtype.kind == "f" else False
        return outside(observation, space, where) if number else None
    return None if space.contains(value.astype(space.dtype)) else outside(observation, space, where)


def _array(observation: Any) -> np.ndarray[Any, Any] | None:
    """Return an observation as an array, or None where it cannot be one."""
    try:
        value = np.asarray(observation)
    except ValueError:  # rows of several lengths
        return None
    return None if value.dtype == object else value


def beyond_bounds(observation: Any, space: Any, where: str) -> str | None:
    """Return which numbers of `observation`, which `lossy_observation` passed, lie outside of a `Box`."""
    if isinstance(space, COMPOSED_SPACES):
        return _first_fault(beyond_bounds, observation, space, where)
    if not isinstance(space, spaces.Box):
        return None
    value = np.asarray(observation, space.dtype)
    return None if space.contains(value) else outside(observation, space, where)


def unusable_reward(reward: Any, where: str) -> str | None:
    """Return why `reward` is not a single number; training finds those that are not finite in every step."""
    value = _array(reward)
    return (
        None if value is not None and value.shape == () and value.dtype.kind in "fiub" else reward_fault(reward, where)
    )


def unusable_end(name: str, value: Any, where: str) -> str | None:
    """Return why `value`, of `name` terminated or truncated, is not true or false, nor 1 or 0."""
    flag = _array(value)
    known = flag is not None and flag.shape == () and flag.dtype.kind in "biuf" and flag in (0, 1)
    return None if known else end_fault(name, value, where)


def rows_fault(observation: Any, space: Any, n: int, where: str) -> str | None:
    """Return why observations of a vector environment are not arrays of `n` rows of `space`."""
    if not same_form(observation, space):
        return f"{where} returned observations with other parts than {space}; return these"
    found = tree.map_many(
        lambda part, array: [_shape_fault(array, (n, *part.shape), where)], space_tree(space), observation
    )
    return next((line for line in tree.leaves(found) if line is not None), None)


def _shape_fault(observation: Any, shape: tuple[int, ...], where: str) -> str | None:
    found = getattr(observation, "shape", None)
    return (
        None
        if found == shape
        else (f"{where} returned observations of shape {found}; they must be arrays of shape {shape}")
    )


def column_fault(name: str, value: Any, n: int, where: str) -> str | None:
    """Return why `value`, of `name` reward, terminated or truncated, is not a number or a boolean for each of `n`."""
    kinds, wanted = ("fiu", "finite floats") if name == "reward" else ("b", "booleans")
    column = np.asarray(value)
    if column.shape == (n,) and column.dtype.kind in kinds and np.isfinite(column).all():
        return None
    return f"{where} returned {name} {value!r}; it must be {n} {wanted}"


def vector_space_fault(name: str, space: Any) -> str | None:
    """Return why a vector environment's single space `name` is none of arrays that count from zero."""
    if is_tree_of_arrays(space) and counts_from_zero(space):
        return None
    return (
        f"{name} is {space!r}; it must be Box, MultiBinary, MultiDiscrete or Discrete counted from 0, or Dict and "
        "Tuple of them"
    )
