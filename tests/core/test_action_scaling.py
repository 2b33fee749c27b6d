"""Actions of a `Box` as numbers in [-1, 1]: bounds of every kind, and back to what was executed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.action_scaling import ActionScaling, free_numbers
from rlkit.core.types import UsageError

INF = np.inf


def box(low: Any, high: Any, dtype: Any = np.float32) -> spaces.Box:
    return spaces.Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)


@pytest.mark.parametrize(
    "space",
    [
        box([-1, 0, -3], [1, 4, -2]),
        box([[-2.0, 0.0], [1.0, 5.0]], [[2.0, 1.0], [3.0, 6.0]], np.float64),
        box([-3e38, 0], [3e38, 1e-30]),
    ],
)
def test_the_ends_the_middle_and_back(space: spaces.Box) -> None:
    scaling = ActionScaling(space, None)
    width = int(np.prod(space.shape))
    numbers = np.array([[-1.0] * width, [0.0] * width, [1.0] * width, [0.25] * width])
    actions = scaling.to_environment(numbers)
    assert actions.dtype == space.dtype
    assert actions.shape == (4, *space.shape)
    assert all(action in space for action in actions)
    assert (actions[0] == space.low).all()
    assert (actions[2] == space.high).all()
    middle = (space.low.astype(np.float64) + space.high) / 2
    assert np.allclose(actions[1], middle, rtol=1e-6)
    back = scaling.to_unit(actions)
    assert back.dtype == np.float32
    assert np.allclose(back, numbers, atol=1e-6)


def test_a_locked_number_is_none_of_those_that_are_chosen() -> None:
    space = box([-1, 2, 0], [1, 2, 4])
    scaling = ActionScaling(space, None)
    assert free_numbers(space).tolist() == [True, False, True]
    assert scaling.width == 2
    actions = scaling.to_environment(np.array([[0.5, -0.5]]))
    assert actions.tolist() == [[0.5, 2.0, 1.0]]
    assert scaling.to_unit(actions).tolist() == [[0.5, -0.5]]


def test_of_integers_the_one_that_was_executed_comes_back() -> None:
    scaling = ActionScaling(box([0, -2], [3, 2], np.int64), None)
    actions = scaling.to_environment(np.array([[-0.99, 0.3], [0.1, -0.9]]))
    assert actions.tolist() == [[0, 1], [2, -2]]
    assert np.allclose(scaling.to_unit(actions), [[-1, 0.5], [1 / 3, -1]])


def test_integers_of_64_bits_stay_within_their_bounds() -> None:
    largest = np.iinfo(np.int64).max
    space = spaces.Box(-largest, largest, (1,), np.int64)
    actions = ActionScaling(space, None).to_environment(np.array([[-1.0], [1.0]]))
    assert actions[0, 0] < -(2**62)
    assert actions[1, 0] > 2**62


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(-INF, INF, [-7, 7]), (0, INF, [0, 7]), (-INF, 5, [-7, 5]), (-1, 1, [-1, 1])],
)
def test_the_limit_stands_for_infinite_bounds_alone(low: float, high: float, ends: list[float]) -> None:
    scaling = ActionScaling(box([low], [high]), 7.0)
    assert scaling.to_environment(np.array([[-1.0], [1.0]]))[:, 0].tolist() == ends


@pytest.mark.parametrize("bounds", [(-INF, INF), (0, INF), (-INF, 0)])
def test_infinite_bounds_are_refused_without_it(bounds: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"needs actions between two finite bounds.*set agent\.action_limit"):
        ActionScaling(box([bounds[0], -1], [bounds[1], 1]), None)


def test_a_limit_within_the_finite_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match=r"agent\.action_limit is 2; it must be beyond the finite bounds"):
        ActionScaling(box([5.0], [INF]), 2.0)


def test_where_nothing_is_free_there_is_nothing_to_learn() -> None:
    for space in (box([1.0], [1.0]), spaces.Box(-1, 1, (0,))):
        with pytest.raises(UsageError, match="leave no choice"):
            ActionScaling(space, None)


def test_actions_beyond_the_bounds_count_as_those_at_the_bounds() -> None:
    assert ActionScaling(box([-2], [2]), None).to_unit(np.array([[-9.0], [3.0]])).tolist() == [[-1], [1]]
