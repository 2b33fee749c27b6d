from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.core import statistics
from rlkit.core.statistics import Averages, Episode, EpisodeTracker
from rlkit.core.types import StepInfo, Transition
from toys import assert_same


@pytest.fixture(autouse=True, params=[0, 16], ids=["many", "few"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of few environments are in lists, those of many in arrays."""
    monkeypatch.setattr(statistics, "FEW", request.param)


def step(raw: Any, reward: Any, *, over: Any = (0, 0), cut: Any = (0, 0), valid: Any = (1, 1)) -> Transition:
    flags = [np.array(flag, bool) for flag in (over, cut, valid)]
    info = StepInfo(np.array(raw, np.float64), flags[0], flags[1])
    none = np.zeros(2)
    return Transition(
        none, none, np.array(reward, np.float32), none, none, flags[0] | flags[1], flags[2], None, None, info
    )


def test_a_game_is_given_out_when_it_ends_with_raw_and_learner_return_apart() -> None:
    tracker = EpisodeTracker(2)
    assert tracker.step(step([10, 1], [1, 0.5]), 2) == []
    assert tracker.step(step([20, 2], [1, 0.5], over=(1, 0)), 4) == [Episode(4, 0, 30.0, 2.0, 2, False)]
    assert tracker.step(step([5, 3], [1, 0.5], over=(1, 1)), 6) == [
        Episode(6, 0, 5.0, 1.0, 1, False),
        Episode(6, 1, 6.0, 1.5, 3, False),
    ]


def test_rows_that_are_not_valid_count_for_nothing() -> None:
    tracker = EpisodeTracker(2)
    tracker.step(step([1, 1], [1, 1]), 2)
    assert tracker.step(step([100, 1], [100, 1], valid=(0, 1), over=(1, 1)), 3) == [Episode(3, 1, 2.0, 2.0, 2, False)]
    assert tracker.step(step([1, 0], [1, 0], over=(1, 0)), 5) == [Episode(5, 0, 2.0, 2.0, 2, False)]


def test_an_episode_that_ends_without_the_game_goes_on_counting() -> None:
    tracker = EpisodeTracker(2)
    lost_life = step([4, 0], [1, 0])._replace(last=np.array([True, False]))
    assert tracker.step(lost_life, 2) == []
    assert tracker.step(step([3, 0], [1, 0], over=(1, 0)), 4) == [Episode(4, 0, 7.0, 2.0, 2, False)]


def test_where_the_turn_passed_the_learner_s_return_is_that_of_whoever_began() -> None:
    tracker = EpisodeTracker(2)
    passed = step([1, 1], [1, 1])._replace(discount=np.array([-1.0, 1.0]))
    assert tracker.step(passed, 2) == []
    assert tracker.step(step([1, 1], [1, 1], over=(1, 1)), 4) == [
        Episode(4, 0, 2.0, 0.0, 2, False),
        Episode(4, 1, 2.0, 2.0, 2, False),
    ]
    # The next game begins with whoever moves first in it; what is not valid passes no turn.
    tracker.step(passed._replace(valid=np.array([False, True])), 5)
    assert tracker.step(step([1, 1], [1, 1], over=(1, 0)), 7) == [Episode(7, 0, 1.0, 1.0, 1, False)]


def test_a_cut_game_is_marked() -> None:
    tracker = EpisodeTracker(2)
    tracker.step(step([1, 1], [1, 1]), 2)
    assert tracker.step(step([1, 1], [1, 1], cut=(1, 0), over=(0, 1)), 4) == [
        Episode(4, 0, 2.0, 2.0, 2, True),
        Episode(4, 1, 2.0, 2.0, 2, False),
    ]


def test_a_tracker_continues_from_its_state_and_the_state_does_not_move() -> None:
    tracker, other = EpisodeTracker(2), EpisodeTracker(2)
    tracker.step(step([1, 2], [3, 4]), 2)
    state = tracker.state_dict()
    ending = step([1, 1], [1, 1], over=(1, 1))
    ended = tracker.step(ending, 4)
    other.load_state_dict(state)
    assert other.step(ending, 4) == ended == [Episode(4, 0, 2.0, 4.0, 2, False), Episode(4, 1, 3.0, 5.0, 2, False)]
    assert_same(state["raw"], np.array([1.0, 2.0]))


def test_rewards_that_are_not_finite_are_found_also_where_one_of_two_hides_them() -> None:
    assert statistics.finite_rewards(step([1e100, -5], [1e18, 0]))
    for odd in (np.nan, np.inf, -np.inf):
        assert not statistics.finite_rewards(step([odd, 0], [0, 0]))
        assert not statistics.finite_rewards(step([0, 1], [0, odd]))
        assert not statistics.finite_rewards(step([odd, -odd], [0, 0]))


def test_averages_are_means_since_the_last_reading() -> None:
    averages = Averages()
    averages.add({"loss": 1.0, "q": 10})
    averages.add({"loss": 2.0})
    assert averages.read() == {"loss": 1.5, "q": 10.0}
    assert averages.read() == {}
    averages.add({"loss": 7.0})
    assert averages.read() == {"loss": 7.0}


def test_averages_continue_from_their_state_and_the_state_does_not_move() -> None:
    averages, other = Averages(), Averages()
    averages.add({"loss": 1.0})
    state = averages.state_dict()
    averages.add({"loss": 4.0})
    other.load_state_dict(state)
    other.add({"loss": 4.0})
    assert state == {"sums": {"loss": 1.0}, "counts": {"loss": 1}}
    assert other.read() == averages.read() == {"loss": 2.5}
