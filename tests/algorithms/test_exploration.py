from __future__ import annotations

from math import exp
from typing import Any
from unittest import mock

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rlkit.algorithms import exploration
from rlkit.algorithms.exploration import epsilon_greedy, epsilon_greedy_by_row, greedy
from rlkit.core.random_actions import random_action, uniform
from rlkit.core.schedules import Constant, DelayedLinear, Exponential, Linear, Multiplicative, annealed
from rlkit.core.types import RunError, UsageError


class TestSchedules:
    def test_constant(self) -> None:
        assert [Constant(0.3)(step) for step in (0, 10**9)] == [0.3, 0.3]

    def test_linear_goes_in_a_straight_line_and_then_stays_exactly_at_its_end(self) -> None:
        schedule = Linear(1.0, 0.1, 100)
        assert [schedule(step) for step in (0, 50, 100, 101, 10**9)] == [1.0, 0.55, 0.1, 0.1, 0.1]
        assert Linear(0.0, 2.0, 4)(1) == 0.5

    def test_linear_over_no_steps_is_at_its_end_at_once(self) -> None:
        assert Linear(1.0, 0.1, 0)(0) == 0.1

    def test_exponential(self) -> None:
        schedule = Exponential(1.0, 0.01, 0.005)
        assert schedule(0) == 1.0
        assert schedule(300) == 0.01 + 0.99 * exp(-1.5)
        assert schedule(10**6) == 0.01

    def test_multiplicative_shrinks_by_its_factor_down_to_a_floor(self) -> None:
        schedule = Multiplicative(1.0, 0.1, 0.5)
        assert [schedule(step) for step in range(5)] == [1.0, 0.5, 0.25, 0.125, 0.1]


Q = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.integers(-2, 2).map(float))


class TestGreedy:
    @given(Q, st.integers(0, 100))
    def test_it_takes_a_best_action(self, q: Any, seed: int) -> None:
        action = greedy(q, np.random.default_rng(seed))
        assert (q[np.arange(len(q)), action] == q.max(axis=1)).all()

    @given(Q, st.integers(0, 100))
    def test_it_takes_the_best_of_the_legal_actions(self, q: Any, seed: int) -> None:
        rng = np.random.default_rng(seed)
        legal = rng.random(q.shape) < 0.5
        legal[np.arange(len(q)), rng.integers(q.shape[1], size=len(q))] = True
        action = greedy(q, rng, legal)
        assert legal[np.arange(len(q)), action].all()
        for i in range(len(q)):
            assert q[i, action[i]] == max(q[i, a] for a in np.flatnonzero(legal[i]))

    @given(Q, st.integers(0, 100), st.booleans(), st.sampled_from([-np.inf, np.nan, 1.0]))
    def test_few_values_give_the_same_actions_as_many(self, q: Any, seed: int, masked: bool, odd: float) -> None:
        q[0, 0] = odd
        legal = np.random.default_rng(seed).random(q.shape) < 0.7 if masked else None
        results = []
        for few in (0, 64):
            rng = np.random.default_rng(seed)
            with mock.patch.object(exploration, "FEW", few):
                try:
                    results.append((greedy(q, rng, legal).tolist(), rng.bit_generator.state))
                except RunError as error:
                    results.append((str(error), rng.bit_generator.state))
        assert results[0] == results[1]

    def test_a_legal_action_is_taken_though_its_value_be_minus_infinity(self) -> None:
        q, legal = np.full((200, 3), -np.inf), np.tile([False, True, True], (200, 1))
        assert set(greedy(q, np.random.default_rng(0), legal).tolist()) == {1, 2}

    def test_ties_are_broken_uniformly(self) -> None:
        q = np.tile([1.0, 3.0, 3.0, 0.0, 3.0], (30_000, 1))
        counts = np.bincount(greedy(q, np.random.default_rng(0)), minlength=5)
        assert counts[[0, 3]].tolist() == [0, 0]
        # Mean 10,000, deviation 82: six deviations.
        assert np.abs(counts[[1, 2, 4]] - 10_000).max() < 6 * 82

    def test_without_ties_nothing_is_drawn(self) -> None:
        rng = np.random.default_rng(0)
        before = rng.bit_generator.state
        assert greedy(np.array([[1.0, 2.0], [5.0, 4.0]]), rng).tolist() == [1, 0]
        assert rng.bit_generator.state == before

    def test_it_does_not_change_the_values_given(self) -> None:
        q, legal = np.array([[1.0, 2.0]]), np.array([[True, False]])
        assert greedy(q, np.random.default_rng(0), legal).tolist() == [0]
        assert q.tolist() == [[1.0, 2.0]]


class TestEpsilonGreedy:
    @pytest.mark.parametrize("bad", [1, 2])
    def test_a_value_that_is_no_number_is_refused(self, bad: int) -> None:
        # The first action, which is not legal, was taken.
        q, legal = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 1.0]]), np.array([[False, True, True]] * 2)
        q[0, bad] = np.nan
        for masks in (None, legal):
            with pytest.raises(RunError, match="is not a number"):
                greedy(q, np.random.default_rng(0), masks)
        q = np.array([[np.nan, 1.0, 2.0]])
        assert greedy(q, np.random.default_rng(0), legal[:1]) == [2]

    def test_the_greedy_action_has_probability_one_minus_epsilon_plus_epsilon_over_a(self) -> None:
        n, epsilon = 60_000, 0.4
        action = epsilon_greedy(np.tile([0.0, 1.0, 0.5, 0.2], (n, 1)), epsilon, np.random.default_rng(0))
        shares = np.bincount(action, minlength=4) / n
        # Deviations of at most 0.002: six of them.
        np.testing.assert_allclose(shares, [0.1, 0.7, 0.1, 0.1], atol=0.012)

    def test_with_legal_actions_a_counts_the_legal_ones(self) -> None:
        n, epsilon = 60_000, 0.4
        legal = np.tile([True, False, True, False], (n, 1))
        action = epsilon_greedy(np.tile([0.0, 1.0, 0.5, 0.2], (n, 1)), epsilon, np.random.default_rng(0), legal)
        np.testing.assert_allclose(np.bincount(action, minlength=4) / n, [0.2, 0.0, 0.8, 0.0], atol=0.012)

    def test_legal_actions_belong_to_their_own_row(self) -> None:
        legal = np.eye(5, dtype=bool)
        for epsilon in (0.0, 0.5, 1.0):
            action = epsilon_greedy(np.zeros((5, 5)), epsilon, np.random.default_rng(0), legal)
            assert action.tolist() == [0, 1, 2, 3, 4]

    def test_epsilon_zero_is_greedy_and_one_is_uniform(self) -> None:
        q = np.tile([0.0, 9.0], (20_000, 1))
        assert epsilon_greedy(q, 0.0, np.random.default_rng(0)).tolist() == [1] * 20_000
        np.testing.assert_allclose(epsilon_greedy(q, 1.0, np.random.default_rng(0)).mean(), 0.5, atol=0.022)


class TestUniform:
    def test_every_action_is_as_likely(self) -> None:
        counts = np.bincount(uniform(3, 30_000, np.random.default_rng(0)), minlength=3)
        assert np.abs(counts - 10_000).max() < 6 * 82

    def test_every_legal_action_is_as_likely(self) -> None:
        legal = np.tile([False, True, True, False], (20_000, 1))
        counts = np.bincount(uniform(4, 20_000, np.random.default_rng(0), legal), minlength=4)
        assert counts[[0, 3]].tolist() == [0, 0]
        assert abs(counts[1] - 10_000) < 6 * 71


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.Box(-2, 3, (2, 2), np.float32),
        spaces.MultiDiscrete([2, 5]),
        spaces.MultiBinary(6),
    ],
)
def test_a_random_action_lies_in_its_space_and_follows_from_the_generator(space: Any) -> None:
    rngs = [np.random.default_rng(3) for _ in range(2)]
    space.seed(1)
    first = [random_action(space, rngs[0]) for _ in range(20)]
    space.seed(2)
    second = [random_action(space, rngs[1]) for _ in range(20)]
    assert all(space.contains(action) for action in first)
    assert [np.asarray(action).tolist() for action in first] == [np.asarray(action).tolist() for action in second]
    assert len({str(action) for action in first}) > 2


def test_a_random_action_is_a_legal_one() -> None:
    rng = np.random.default_rng(0)
    legal = np.array([False, True, False, True])
    assert {int(random_action(spaces.Discrete(4), rng, legal)) for _ in range(50)} == {1, 3}


def test_each_choice_of_a_random_action_is_a_legal_one() -> None:
    rng = np.random.default_rng(0)
    legal = np.array([False, True, True, False, True])
    for space, expected in (
        (spaces.MultiDiscrete([2, 3]), {(1, 0), (1, 2)}),
        (spaces.MultiDiscrete([2, 3], start=[5, -1]), {(6, -1), (6, 1)}),
    ):
        drawn = [random_action(space, rng, legal) for _ in range(50)]
        assert {tuple(action.tolist()) for action in drawn} == expected
        assert all(space.contains(action) for action in drawn)
    switches = [random_action(spaces.MultiBinary(2), rng, np.array([True, True, True, False])) for _ in range(50)]
    assert {tuple(action.tolist()) for action in switches} == {(0, 0), (1, 0)}
    assert all(spaces.MultiBinary(2).contains(action) for action in switches)


def test_what_is_annealed_falls_in_a_line_to_nothing() -> None:
    rate = annealed(0.5, anneal=True, total_steps=100)
    assert [rate(step) for step in (0, 50, 75, 100, 120)] == [0.5, 0.25, 0.125, 0, 0]
    assert annealed(0.5, anneal=False, total_steps=100)(99) == 0.5
    with pytest.raises(UsageError, match=r"is a schedule; set agent\.anneal=false"):
        annealed(Linear(1.0, 0.0, 10), anneal=True, total_steps=10)
    with pytest.raises(UsageError, match="anneal=true needs total_steps"):
        annealed(0.5, anneal=True, total_steps=None)


def test_a_delayed_line_begins_to_fall_later() -> None:
    schedule = DelayedLinear(1.0, 0.0, 10, delay=100)
    assert [schedule(step) for step in (0, 99, 100, 105, 110, 500)] == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_each_row_has_an_epsilon_of_its_own() -> None:
    """The chance of a greedy action is 1 - epsilon + epsilon / A; illegal actions are never drawn."""
    q = np.tile([0.0, 1.0, 5.0, 2.0], (3, 1))
    legal = np.tile([True, True, True, False], (3, 1))
    rng, epsilons = np.random.default_rng(0), np.array([0.0, 0.4, 1.0])
    for masks, actions in ((None, 4), (legal, 3)):
        drawn = np.array([epsilon_greedy_by_row(q, epsilons, rng, masks) for _ in range(4000)])
        np.testing.assert_allclose((drawn == 2).mean(0), 1 - epsilons + epsilons / actions, atol=0.03)
        assert set(drawn[:, 2].tolist()) == set(range(actions))
