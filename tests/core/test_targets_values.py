"""Sequence targets against their definitions, summed plainly, and by hand where a setting could be ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.core.targets import gae, returns, vtrace

BEFORE, R, D = np.array([1.0, 3.0]), np.array([1.0, 2.0]), np.array([0.5, 0.0])
AFTER, LAST = np.array([3.0, 70.0]), np.array([False, True])


def test_vtrace_takes_the_share_lambda_of_later_errors() -> None:
    # Errors 1 + 0.5 * 3 - 1 = 1.5 and 2 - 3 = -1; the second counts 0.5 (lambda) * 0.5 (discount) for the first.
    targets, advantages = vtrace(BEFORE, R, D, AFTER, LAST, np.ones(2), lambda_=0.5)
    assert targets.tolist() == [1 + 1.5 - 0.25, 2.0]
    assert advantages.tolist() == [1 + 0.5 * 2.0 - 1, -1.0]


def test_vtrace_clips_ratios_where_it_is_told() -> None:
    # Ratios 3 and 4 count 2: errors 3 and -2; the second counts 2 * 0.5 for the first.
    targets, advantages = vtrace(BEFORE, R, D, AFTER, LAST, np.array([3.0, 4.0]), clip=2.0)
    assert targets.tolist() == [1 + 3 - 2, 3.0 - 2.0]
    assert advantages.tolist() == [2 * (1 + 0.5 * 1.0 - 1), -2.0]


def test_where_the_turn_passed_what_follows_is_the_opponents() -> None:
    r, d, last = np.array([0.0, 0.0, 1.0]), np.array([-1.0, -1.0, 0.0]), np.array([False, False, True])
    # The third move wins: good for who made the first and third, bad for who made the second.
    assert returns(r, d, np.zeros(3), last).tolist() == [1.0, -1.0, 1.0]
    assert gae(np.zeros(3), r, d, np.zeros(3), last, 1.0).tolist() == [1.0, -1.0, 1.0]
    assert gae(np.zeros(3), r, d, np.zeros(3), last, 0.5).tolist() == [0.25, -0.5, 1.0]
    assert vtrace(np.zeros(3), r, d, np.zeros(3), last, np.ones(3), 0.5)[0].tolist() == [0.25, -0.5, 1.0]


class Drawn:
    """Twelve steps of several episodes, some of them truncated, with passed turns among them."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.before, self.r, self.after = rng.normal(size=(3, 12))
        self.d = rng.choice([0.0, 0.9, -0.9, 0.9], 12)
        self.last = (self.d == 0) | (rng.random(12) < 0.15)
        # Within an episode the successor's value is that of the next row.
        self.after[:-1] = np.where(self.last[:-1], self.after[:-1], self.before[1:])
        self.ratio = np.exp(rng.normal(size=12))

    def end(self, s: int) -> int:
        """Return the last row of the episode of row s, or of the array."""
        return next((t for t in range(s, 12) if self.last[t]), 11)

    def later(self, s: int, weight: Any) -> float:
        """Return the sum over the rows from s to the end of the episode of products of weights and the row's error."""
        total = 0.0
        for t in range(s, self.end(s) + 1):
            carried = np.prod([weight(k) * self.d[k] for k in range(s, t)])
            total += float(carried) * self.error(t)
        return total

    def error(self, t: int) -> float:
        return float(self.r[t] + self.d[t] * self.after[t] - self.before[t])


@pytest.mark.parametrize("seed", range(6))
def test_they_are_the_sums_of_their_definitions(seed: int) -> None:
    x = Drawn(seed)
    columns = x.before, x.r, x.d, x.after, x.last
    for lambda_ in (0.0, 0.6, 1.0):
        expected = [x.later(s, lambda k: lambda_) for s in range(12)]  # noqa: B023
        np.testing.assert_allclose(gae(*columns, lambda_), expected, atol=1e-12)
    plain = [x.later(s, lambda k: 1.0) + x.before[s] for s in range(12)]
    np.testing.assert_allclose(returns(x.r, x.d, x.after, x.last), plain, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("lambda_", "clip"), [(1.0, 1.0), (0.6, 1.5)])
def test_vtrace_is_the_sum_of_its_definition(seed: int, lambda_: float, clip: float) -> None:
    """Espeholt et al., 2018, eq. 1, with the same bound for rho and c."""
    x = Drawn(seed)
    rho = np.minimum(x.ratio, clip)
    expected = np.zeros(12)
    for s in range(12):
        for t in range(s, x.end(s) + 1):
            carried = np.prod([lambda_ * rho[k] * x.d[k] for k in range(s, t)])
            expected[s] += float(carried) * rho[t] * x.error(t)
    expected += x.before
    targets, advantages = vtrace(x.before, x.r, x.d, x.after, x.last, x.ratio, lambda_, clip)
    np.testing.assert_allclose(targets, expected, atol=1e-12)
    following = [x.after[s] if s == x.end(s) else expected[s + 1] for s in range(12)]
    np.testing.assert_allclose(advantages, rho * (x.r + x.d * following - x.before), atol=1e-12)
