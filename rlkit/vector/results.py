"""What environments return, at every step: written into arrays where these hold it, refused in one line otherwise."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from operator import index
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, space_tree
from rlkit.core.types import Array, EnvironmentFaultError, Tree
from rlkit.vector import contract

WHERE = "the environment"

Put = Callable[[Any, int, Any], None]
"""Writes an observation into row i of arrays [N, ...]."""


def require(fault: str | None) -> None:
    """Raise an `EnvironmentFaultError` where `fault` says what is wrong."""
    if fault is not None:
        raise EnvironmentFaultError(fault)


def of_reset(result: Any) -> tuple[Any, dict[str, Any]]:
    """Return the observation and the info that ``reset`` returned.

    Raises:
        EnvironmentFaultError: it returned something else.
    """
    require(contract.reset_fault(result))
    return result  # type: ignore[no-any-return]


def of_step(result: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
    """Return the five values that ``step`` returned, the ends as bool.

    Raises:
        EnvironmentFaultError: it returned something else.
    """
    try:
        observation, reward, terminated, truncated, info = result
    except (TypeError, ValueError):
        raise EnvironmentFaultError(contract.step_fault(result) or "") from None
    if type(terminated) is not bool:
        terminated = _flag("terminated", terminated)
    if type(truncated) is not bool:
        truncated = _flag("truncated", truncated)
    if not isinstance(info, dict):
        require(contract.step_fault(result))
    return observation, reward, terminated, truncated, info


def _flag(name: str, value: Any) -> bool:
    require(contract.unusable_end(name, value, WHERE))
    return bool(value)


def putter(space: Any, where: str = WHERE) -> Put:
    """Return what writes observations of `space`, or raises an `EnvironmentFaultError` where arrays cannot hold one.

    The error says that `where` returned it.
    """
    if isinstance(space, COMPOSED_SPACES):
        return _tree_putter(space, where)
    return _state_putter(space, where) if isinstance(space, spaces.Discrete) else _array_putter(space, where)


def _tree_putter(space: Any, where: str) -> Put:
    puts = tree.map(lambda part: putter(part, where), space_tree(space))

    def put(room: Tree, i: int, value: Any) -> None:
        if not contract.same_form(value, space):
            require(contract.lossy_observation(value, space, where))
        tree.map_many(lambda write, part, one: write(part, i, one), puts, room, value)

    return put


def _state_putter(space: Any, where: str) -> Put:
    n = int(space.n)

    def put(room: Any, i: int, value: Any) -> None:
        try:
            number = index(value)
        except TypeError:
            number = -1
        if not 0 <= number < n:
            raise EnvironmentFaultError(contract.outside(value, space, where))
        room[i] = number

    return put


def _array_putter(space: Any, where: str) -> Put:
    shape, own, known = space.shape, space.dtype, set()
    holds_nan = _nan_test(space)

    def put(room: Any, i: int, value: Any) -> None:
        try:
            dtype = value.dtype
        except AttributeError:
            dtype = None
        if (dtype is not own and dtype not in known) or value.shape != shape:
            require(contract.lossy_observation(value, space, where))
            if isinstance(dtype, np.dtype):
                known.add(dtype)
        room[i] = value
        if holds_nan is not None and holds_nan(room[i]):
            require(contract.lossy_observation(value, space, where))

    return put


class Numbers:
    """Looks for NaN in the observations [N, ...] of a vector environment, and for rows of another shape."""

    def __init__(self, space: Any, n: int):
        """Look at those of `n` environments of `space`."""
        self._space, self._n = space, n
        parts = [(i, part, _nan_test(part, n)) for i, part in enumerate(tree.leaves(space_tree(space)))]
        self._tests = [(i, (n, *part.shape), test) for i, part, test in parts if test is not None]

    def __call__(self, observation: Tree) -> None:
        """Look at observations.

        Raises:
            EnvironmentFaultError: one is NaN, or not of the shape that its space has.
        """
        parts = (observation,) if type(observation) is np.ndarray else tree.leaves(observation)
        for i, shape, holds_nan in self._tests:
            if parts[i].shape != shape or holds_nan(parts[i]):
                self._look_closely(observation)

    def _look_closely(self, observation: Tree) -> None:
        require(contract.rows_fault(observation, self._space, self._n, WHERE))
        for i in range(self._n):
            require(contract.lossy_observation(tree.take(observation, i), self._space, WHERE))


FEW = 64
"""Up to so many numbers, Python adds them up faster than NumPy."""


def _nan_test(space: Any, *axes: int) -> Callable[[Array], bool] | None:
    """Return what is true of arrays [*axes, ...] of a space that may hold NaN; None where none of them can."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating) or 0 in space.shape:
        return None
    zeros = np.zeros((*axes, *space.shape), space.dtype).ravel()
    if zeros.size <= FEW:
        one_axis = len(axes) + len(space.shape) == 1
        return (lambda row: isnan(sum(row.tolist()))) if one_axis else lambda array: isnan(sum(array.ravel().tolist()))
    # The product is NaN, which is true, where one of the numbers is NaN or infinite.
    return lambda array: bool(array.ravel().dot(zeros))
