"""Actions of a `Box`: integers, their bounds, and numbers that are locked."""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlkit.core.random_actions import random_action
from rlkit.core.spaces import box_actions
from rlkit.core.types import UsageError
from rlkit.networks.action_distributions import Gaussian

WIDE = np.linspace(-4, 4, 401, dtype=np.float32)[:, None]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (1,), np.int64),
        spaces.Box(0, 3, (1,), np.uint8),
        spaces.Box(-2, 2, (1,), np.int64),
        spaces.Box(-3, 3, (1,), np.int8),
    ],
)
@pytest.mark.parametrize("squash", [True, False])
def test_every_integer_is_reached(space: Any, squash: bool) -> None:
    actions = Gaussian(space, squash=squash).actions(WIDE)
    assert actions.dtype == space.dtype
    assert np.unique(actions).tolist() == list(range(int(space.low[0]), int(space.high[0]) + 1))


def test_integers_are_rounded_to_the_nearest_and_clipped() -> None:
    space = spaces.Box(np.array([-2, 0]), np.array([2, 9]), dtype=np.int64)
    numbers = np.array([[-7.0, 0.4], [0.6, 8.7], [-0.6, 30.0]])
    assert box_actions(space, numbers).tolist() == [[-2, 0], [1, 9], [-1, 9]]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_the_width_of_a_dtype_fits(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    policy = Gaussian(spaces.Box(limits.min, limits.max, (1,), dtype), squash=True)
    assert policy.actions(np.array([[-20.0], [20.0]], np.float32)).ravel().tolist() == [limits.min, limits.max]
    # The standard normal density at 0 over half the width of the interval, whose derivative tanh has at 0.
    right = -log(sqrt(2 * pi)) - log((int(limits.max) - int(limits.min)) / 2)
    assert policy.log_prob(torch.zeros(1, 2), torch.zeros(1, 1)).item() == pytest.approx(right)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_largest_numbers_do_not_overflow(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    space = spaces.Box(limits.min, limits.max, (1,), dtype)
    low, high = box_actions(space, np.array([[-1e300], [1e300]])).ravel().tolist()
    # The float64 before the largest is 2^10 or 2^11 less than the one after it.
    assert (low, high) == (limits.min, int(np.nextafter(float(limits.max), 0)))


def test_a_locked_joint_has_no_density() -> None:
    locked = Gaussian(spaces.Box(np.array([1, -1], np.float32), np.array([1, 1], np.float32)), squash=True)
    free = Gaussian(spaces.Box(-1, 1, (1,), np.float32), squash=True)
    both, one = torch.tensor([[0.3, 0.2, 0.1, -0.1]]), torch.tensor([[0.2, -0.1]])
    sample = torch.tensor([[5.0, 0.7]])
    assert locked.log_prob(both, sample).item() == pytest.approx(free.log_prob(one, sample[:, 1:]).item())
    assert locked.entropy(both).item() == pytest.approx(free.entropy(one).item())
    assert locked.actions(sample.numpy())[0, 0] == 1
    both.requires_grad_(True)
    locked.log_prob(both, sample).sum().backward()
    assert both.grad is not None
    assert both.grad[0, [0, 2]].tolist() == [0, 0]
    assert torch.isfinite(both.grad).all()


@pytest.mark.parametrize("squash", [True, False])
def test_both_positions_of_a_switch_are_reached(squash: bool) -> None:
    actions = Gaussian(spaces.Box(0, 1, (1,), np.bool_), squash=squash).actions(WIDE)
    assert actions.dtype == bool
    # Squashed to 0.5 at the middle, or 0.5 itself.
    assert actions.mean() == pytest.approx(0.5 if squash else 3.5 / 8, abs=0.01)


def test_a_width_beyond_the_largest_float_has_a_density() -> None:
    policy = Gaussian(spaces.Box(-3e38, 3e38, (1,), np.float32), squash=True)
    assert policy.actions(np.array([[-9], [0], [9]], np.float32)).ravel() == pytest.approx([-3e38, 0, 3e38], rel=1e-5)
    right = -log(sqrt(2 * pi)) - log(3e38)
    assert policy.log_prob(torch.zeros(1, 2), torch.zeros(1, 1)).item() == pytest.approx(right)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-(2**63), 2**63 - 1, (2,), np.int64),
        spaces.Box(2**63, 2**64 - 1, (2,), np.uint64),
        spaces.Box(np.array([0, 2**63 - 2]), np.array([3, 2**63 - 1]), dtype=np.int64),
    ],
)
def test_random_integers_of_64_bits_are_all_over_the_space(space: Any) -> None:
    rng = np.random.default_rng(0)
    for part, one in ((space, lambda drawn: drawn), (spaces.Dict(a=space), lambda drawn: drawn["a"])):
        drawn = np.array([one(random_action(part, rng)) for _ in range(50)])
        assert all(map(space.contains, drawn))
        # Shares of the width, without overflowing.
        shares = (drawn / 2.0 - space.low / 2.0) / (space.high / 2.0 - space.low / 2.0) if space.high[0] > 3 else drawn
        assert (shares.min(0) < shares.max(0)).all()
        assert space.high[0] == 3 or (shares.min() < 0.1 and shares.max() > 0.9)


def test_actions_of_no_numbers_are_no_policy_s() -> None:
    with pytest.raises(UsageError, match=r"^actions of Box\(.*\) have no numbers, so that there is nothing to learn"):
        Gaussian(spaces.Box(-1, 1, (0,)), squash=False)
    assert box_actions(spaces.Box(-1, 1, (0,)), np.zeros((3, 0))).shape == (3, 0)
