from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rlkit.core.targets import gae, returns, td_error, td_target, vtrace


@pytest.fixture(params=[lambda *x: np.array(x, np.float32), lambda *x: torch.tensor(x)], ids=["numpy", "torch"])
def vector(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_target_is_the_reward_and_the_discounted_value_of_the_successor(vector: Any) -> None:
    # gamma 0.5: goes on, terminated, the turn passed.
    target = td_target(vector(1.0, 1.0, 1.0), 0.5 * vector(1.0, 0.0, -1.0), vector(8.0, 8.0, 8.0))
    assert type(target) is type(vector(0.0))
    assert target.tolist() == [5.0, 1.0, -3.0]


def test_the_error_is_the_target_less_the_value_of_what_was_done(vector: Any) -> None:
    error = td_error(vector(4.0, 4.0), vector(1.0, 1.0), vector(0.5, 0.0), vector(8.0, 8.0))
    assert type(error) is type(vector(0.0))
    assert error.tolist() == [1.0, -3.0]


def test_rules_take_plain_numbers_too() -> None:
    assert td_target(1.0, 0.9, 10.0) == 10.0
    assert td_error(2.0, 1.0, 0.9, 10.0) == 8.0


class TestSequences:
    """One environment, time first: an episode of two steps that terminates, one that is truncated, one under way."""

    R, D = (1.0, 2.0, 3.0, 4.0, 5.0), (0.5, 0.0, 0.5, 0.5, 0.5)
    AFTER, LAST = (90.0, 70.0, 60.0, 8.0, 6.0), (False, True, False, True, False)

    def columns(self, vector: Any) -> tuple[Any, Any, Any, Any]:
        zero = vector(0.0)
        last = vector(*map(float, self.LAST)) > zero
        return vector(*self.R), vector(*self.D), vector(*self.AFTER), last

    def test_returns_go_on_with_a_value_where_they_are_broken_off(self, vector: Any) -> None:
        # 5 + 0.5 * 6 = 8; 4 + 0.5 * 8 = 8; 3 + 0.5 * 8 = 7; 2; 1 + 0.5 * 2 = 2.
        assert returns(*self.columns(vector)).tolist() == [2.0, 2.0, 7.0, 8.0, 8.0]

    def test_advantages_by_hand(self, vector: Any) -> None:
        r, d, _, last = self.columns(vector)
        before, after = vector(1.0, 3.0, 1.0, 2.0, 4.0), vector(3.0, 70.0, 2.0, 8.0, 6.0)
        # Errors 1 + 1.5 - 1 = 1.5, 2 - 3 = -1, 3 + 1 - 1 = 3, 4 + 4 - 2 = 6, 5 + 3 - 4 = 4; lambda 0.5, gamma 0.5.
        assert gae(before, r, d, after, last, 0.5).tolist() == [1.25, -1.0, 4.5, 6.0, 4.0]
        assert gae(before, r, d, after, last, 0.0).tolist() == [1.5, -1.0, 3.0, 6.0, 4.0]

    def test_lambda_1_is_the_return_less_the_value(self, vector: Any) -> None:
        r, d, _, last = self.columns(vector)
        before, after = vector(1.0, 3.0, 1.0, 2.0, 4.0), vector(3.0, 70.0, 2.0, 8.0, 6.0)
        found = gae(before, r, d, after, last, 1.0) + before
        assert found.tolist() == returns(r, d, after, last).tolist()

    def test_vtrace_on_the_policy_s_own_data_is_the_return(self, vector: Any) -> None:
        r, d, _, last = self.columns(vector)
        before, after = vector(1.0, 3.0, 1.0, 2.0, 4.0), vector(3.0, 70.0, 2.0, 8.0, 6.0)
        targets, advantages = vtrace(before, r, d, after, last, vector(1.0, 1.0, 1.0, 1.0, 1.0))
        assert targets.tolist() == [2.0, 2.0, 7.0, 8.0, 8.0]
        assert advantages.tolist() == [1.0, -1.0, 6.0, 6.0, 4.0]

    def test_vtrace_by_hand(self, vector: Any) -> None:
        """Ratios 0.5 and 4, clipped at 1: errors 0.5 * 1.5 and -1; the first target takes half of half the second."""
        two = slice(0, 2)
        r, d, _, last = (column[two] for column in self.columns(vector))
        before, after = vector(1.0, 3.0), vector(3.0, 70.0)
        targets, advantages = vtrace(before, r, d, after, last, vector(0.5, 4.0))
        assert targets.tolist() == [1 + 0.75 - 0.25, 2.0]
        assert advantages.tolist() == [0.5 * (1 + 0.5 * 2 - 1), -1.0]
        # With a lambda of .5 the second error counts half.
        targets, advantages = vtrace(before, r, d, after, last, vector(0.5, 4.0), 0.5)
        assert targets.tolist() == [1 + 0.75 - 0.125, 2.0]
        assert advantages.tolist() == [0.5 * (1 + 0.5 * 2 - 1), -1.0]

    @pytest.mark.parametrize("rule", ["returns", "gae", "vtrace"])
    def test_environments_side_by_side_are_as_each_alone(self, rule: str) -> None:
        rng = np.random.default_rng(0)
        shape = (7, 4)
        before, r, after = rng.normal(size=(3, *shape))
        d, last = rng.random(shape) * (rng.random(shape) < 0.8), rng.random(shape) < 0.3

        def apply(i: Any) -> Any:
            b, x, g, a, e = (column[:, i] for column in (before, r, d, after, last))
            if rule == "returns":
                return returns(x, g, a, e)
            return gae(b, x, g, a, e, 0.7) if rule == "gae" else vtrace(b, x, g, a, e, np.exp(b), 0.9)[1]

        together = apply(slice(None))
        for i in range(4):
            np.testing.assert_array_equal(together[:, i], apply(i))
