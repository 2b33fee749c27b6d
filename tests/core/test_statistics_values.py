"""Returns of games in which the turn passes, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.algorithms.policy_gradient.normalization import RewardScale, RunningMeanStd
from rlkit.core.statistics import Averages, Episode, EpisodeTracker
from rlkit.core.types import StepInfo, Transition


def step(reward: float, discount: float, *, over: bool = False, valid: bool = True) -> Transition:
    flags = [np.array([flag]) for flag in (over, False, valid)]
    none: Any = np.zeros(1)
    info = StepInfo(np.array([reward]), flags[0], flags[1])
    return Transition(
        none, none, np.array([reward], np.float32), np.array([discount]), none, flags[0], flags[2], None, None, info
    )


def test_after_a_passed_turn_rewards_are_the_opponents() -> None:
    tracker = EpisodeTracker(1)
    assert tracker.step(step(1, -1), 1) == []
    assert tracker.step(step(1, 0, over=True), 2) == [Episode(2, 0, 2.0, 0.0, 2, False)]


def test_after_two_passed_turns_they_are_ones_own_again() -> None:
    tracker = EpisodeTracker(1)
    for t, reward in enumerate((1, 2)):
        tracker.step(step(reward, -1), t)
    # 1 - 2 + 5, and -0 for the turn that stays with the third.
    tracker.step(step(5, 1), 3)
    assert tracker.step(step(7, 0, over=True), 4) == [Episode(4, 0, 15.0, 1 - 2 + 5 + 7, 4, False)]


def test_a_discount_of_0_or_above_passes_no_turn() -> None:
    for discount in (0.0, 0.3, 1.0):
        tracker = EpisodeTracker(1)
        tracker.step(step(1, discount), 1)
        assert tracker.step(step(1, 0, over=True), 2) == [Episode(2, 0, 2.0, 2.0, 2, False)]


def test_the_next_game_is_begun_by_whoever_it_counts_for() -> None:
    tracker = EpisodeTracker(1)
    tracker.step(step(0, -1), 1)
    tracker.step(step(1, -1, over=True), 2)
    assert tracker.step(step(3, 0, over=True), 3) == [Episode(3, 0, 3.0, 3.0, 1, False)]


def test_a_row_that_was_no_step_passes_no_turn() -> None:
    tracker = EpisodeTracker(1)
    tracker.step(step(9, -1, valid=False), 0)
    assert tracker.step(step(1, 0, over=True), 1) == [Episode(1, 0, 1.0, 1.0, 1, False)]


def test_whose_turn_it_is_survives() -> None:
    tracker, other = EpisodeTracker(1), EpisodeTracker(1)
    tracker.step(step(1, -1), 1)
    other.load_state_dict(tracker.state_dict())
    assert other.step(step(1, 0, over=True), 2) == [Episode(2, 0, 2.0, 0.0, 2, False)]
    # The state is not what goes on changing.
    state = tracker.state_dict()
    tracker.step(step(1, -1), 2)
    assert (state["sign"].tolist(), state["length"].tolist(), state["learner"].tolist()) == ([-1], [1], [1])


def test_means_are_over_the_updates_that_had_the_figure() -> None:
    averages = Averages()
    for metrics in ({"a": 1, "b": 10}, {"a": 2}, {"a": 6, "b": 20}):
        averages.add(metrics)
    assert averages.state_dict() == {"sums": {"a": 9.0, "b": 30.0}, "counts": {"a": 3, "b": 2}}
    assert averages.read() == {"a": 3.0, "b": 15.0}


def test_moments_by_hand() -> None:
    moments = RunningMeanStd(())
    moments.add(np.array([1.0, 3.0]))
    assert (moments.mean, moments.variance) == (2.0, 1.0)
    moments.add(np.array([]))
    moments.add(np.array([5.0]))
    # Of 1, 3 and 5.
    assert (float(moments.mean), float(moments.variance)) == (3.0, 8 / 3)
    assert float(moments.std) == np.sqrt(8 / 3 + 1e-8)
    assert moments.state_dict()["count"] == 3


def test_what_varies_little_has_its_own_spread_and_what_rounding_moves_has_one() -> None:
    little, rounded = RunningMeanStd(()), RunningMeanStd(())
    little.add(np.array([0.0, 1e-4]))
    assert float(little.std) == pytest.approx(np.sqrt(0.5e-4**2 + 1e-8), rel=1e-9)
    rounded.add(1e6 + np.array([0.0, 1e-3]))
    assert float(rounded.std) == 1.0


def test_scaled_rewards_by_hand() -> None:
    scale, yes, no = RewardScale(1, 0.5), np.array([True]), np.array([False])
    own, passed = np.array([1.0]), np.array([-1.0])
    # One value has no spread, and is left as it is.
    assert scale(np.array([2.0]), own, no, yes).tolist() == [2.0]
    # Sums 2 and 0.5 * 2 + 3 = 4 have the spread 1.
    assert scale(np.array([3.0]), own, yes, yes).tolist() == [3.0]
    # A new episode: sums 2, 4 and -3, of mean 1 and variance 26 / 3.
    np.testing.assert_allclose(scale(np.array([-3.0]), passed, no, yes), [-3 / np.sqrt(26 / 3)], rtol=1e-6)
    # The turn passed: sums 2, 4, -3 and 0.5 * 3 + 3 = 4.5, of mean 15 / 8.
    spread = np.sqrt(np.mean((np.array([2, 4, -3, 4.5]) - 15 / 8) ** 2))
    np.testing.assert_allclose(scale(np.array([3.0]), own, yes, yes), [3 / spread], rtol=1e-6)
    # No step: it adds nothing to what was seen.
    seen = scale.state_dict()["statistics"]["count"]
    assert scale(np.array([0.0]), own, no, no).tolist() == [0.0]
    assert scale.state_dict()["statistics"]["count"] == seen == 4
