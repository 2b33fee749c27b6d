"""Storage for policy gradients, beside plain lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.algorithms.policy_gradient.normalization import RewardScale, RunningMeanStd
from rlkit.algorithms.policy_gradient.rollout import EpisodeStore, FirstBegun, Rollout
from rlkit.core.checkpoint import Store
from toys import assert_same

BOTH = np.ones(2, bool)


def survived(state: Any, folder: Path) -> Any:
    store = Store(folder)
    store.save(1, state)
    return store.load(1)


def rows(t: int, n: int) -> dict[str, Any]:
    return {"x": np.arange(n) + 10.0 * t, "y": np.full((n, 2), t, np.int16)}


def test_a_rollout_is_time_first_and_its_memory_is_used_again(tmp_path: Path) -> None:
    rollout = Rollout(3)
    assert rollout.empty
    for t in range(3):
        assert not rollout.full
        rollout.add(rows(t, 2), BOTH)
    assert rollout.full
    assert rollout.columns["x"].tolist() == [[0, 1], [10, 11], [20, 21]]
    assert rollout.columns["y"].dtype == np.int16
    memory = rollout.columns["x"]
    rollout.clear()
    rollout.add(rows(7, 2), BOTH)
    assert rollout.columns["x"] is memory
    other = Rollout(3)
    other.load_state_dict(survived(rollout.state_dict(), tmp_path))
    for one in (rollout, other):
        one.add(rows(8, 2), BOTH)
        one.add(rows(9, 2), np.array([True, False]))
    assert_same(rollout.columns, other.columns)
    assert rollout.columns["x"][2].tolist() == [90, 0]
    rollout.clear()
    assert rollout.state_dict() == {"columns": {}}


@dataclass(eq=False)
class Episode:
    """An episode that `counts` or not, as a list."""

    counts: bool
    steps: list[Any] = field(default_factory=list)
    ended: bool = False


class Begun:
    """The first episodes to begin, one by one."""

    def __init__(self, n: int, count: int):
        self.count, self.under_way = count, [Episode(False) for _ in range(n)]
        self.clear()

    def begin(self, i: int) -> None:
        self.under_way[i] = Episode(len(self.begun) < self.count)
        self.begun += [self.under_way[i]] * self.under_way[i].counts

    def clear(self) -> None:
        self.begun: list[Episode] = []
        self.taken = 0
        for i, episode in enumerate(self.under_way):
            episode.counts = False
            if not episode.steps:
                self.begin(i)

    def add(self, i: int, step: Any, last: bool) -> None:
        self.under_way[i].steps.append(step)
        if last:
            self.under_way[i].ended = True
            self.begin(i)

    def ready(self, group: int) -> list[Episode] | None:
        wanted = range(self.taken, min(self.taken + group, self.count))
        found = [self.begun[k] for k in wanted if k < len(self.begun) and self.begun[k].ended]
        return found if len(found) == len(wanted) else None


@given(st.data(), st.integers(1, 3), st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_episodes_are_the_first_that_were_begun_as_plain_lists(data: st.DataObject, n: int, steps: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    share, count = data.draw(st.sampled_from([0.0, 0.05, 0.5])), data.draw(st.integers(1, 6))
    group = data.draw(st.integers(1, count))
    store, twin = EpisodeStore(n, count), Begun(n, count)
    for t in range(steps):
        valid, last, row = rng.random(n) < 0.9, rng.random(n) < share, rows(t, n)
        store.add(row, valid, last)
        for i in np.flatnonzero(valid):
            twin.add(i, (row["x"][i], row["y"][i].tolist()), last[i])
        while store.ready(group):
            expected, found = twin.ready(group), store.take(group)
            assert expected is not None
            twin.taken += len(expected)
            assert list(zip(found["x"], found["y"].tolist(), strict=True)) == [s for e in expected for s in e.steps]
            assert store.empty == (twin.taken == count)
            if store.empty:
                store.clear()
                twin.clear()
        assert twin.ready(group) is None
        if t % 7 == 3:
            state = store.state_dict()
            store = EpisodeStore(n, count)
            store.load_state_dict(state)


def test_an_episode_that_is_played_again_keeps_its_number() -> None:
    first = FirstBegun(3, 4)
    assert first.numbers.tolist() == [0, 1, 2]
    all_, none = np.ones(3, bool), np.zeros(3, bool)
    first.step(np.array([True, True, False]), all_, np.array([True, False, False]))
    assert first.numbers.tolist() == [0, 3, 2]
    first.step(all_, all_, np.array([False, False, True]))
    assert first.numbers.tolist() == [-1, -1, 2]
    first.step(np.array([True, False, False]), np.array([False, True, True]), none)
    first.clear()
    assert first.numbers.tolist() == [0, -1, -1]
    first.step(all_, all_, all_)
    assert first.numbers.tolist() == [0, 1, 2]


def test_moments_are_those_of_all_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal([3.0, -1e4], [2.0, 1e-2], (500, 2))
    moments = RunningMeanStd((2,))
    assert (moments.mean.tolist(), moments.variance.tolist()) == ([0, 0], [1, 1])
    for part in np.split(seen, [0, 1, 3, 100, 101]):
        moments.add(part)
        other = RunningMeanStd((2,))
        other.load_state_dict(survived(moments.state_dict(), tmp_path))
        moments = other
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-6)


def test_what_has_not_varied_is_not_divided_by_next_to_nothing() -> None:
    moments = RunningMeanStd((2,))
    assert moments.std.tolist() == pytest.approx([1, 1])
    moments.add(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]))
    np.testing.assert_allclose(moments.std, [1, np.sqrt(8 / 3)], rtol=1e-6)
    assert moments.count == 3
    moments.add(np.array([[0.4, 3.0]]))
    assert moments.std[0] == pytest.approx(np.std([0.1, 0.1, 0.1, 0.4]), rel=1e-6)


def test_the_first_rewards_of_one_environment_are_as_they_come() -> None:
    """There is no spread of one sum; of 2 and .5 * 2 + 3 it is 1, of those and of .5 * 4 + 1, sqrt(2 / 3)."""
    scale, one, goes_on = RewardScale(1, 0.5), np.ones(1, bool), np.zeros(1, bool)
    found = [scale(np.array([reward]), one, goes_on, one).item() for reward in (2.0, 3.0, 1.0)]
    assert found == pytest.approx([2.0, 3.0, 1 / np.sqrt(2 / 3)], rel=1e-5)


def test_rewards_are_divided_by_the_spread_of_their_discounted_sum() -> None:
    rng, scale, sums, seen = np.random.default_rng(0), RewardScale(2, 0.9), np.zeros(2), []
    for t in range(200):
        reward, last, valid = rng.normal(5, 3, 2), rng.random(2) < 0.1, np.array([True, t % 3 > 0])
        reward = np.where(valid, reward, 0.0)
        sums = 0.9 * sums + reward
        seen += sums[valid].tolist()
        found, spread = scale(reward, np.ones(2), last, valid), np.std(seen) if len(seen) > 1 else 1.0
        np.testing.assert_allclose(found, np.clip(reward / spread, -10, 10), rtol=1e-5)
        sums[last] = 0
    assert found.dtype == np.float32


@pytest.mark.parametrize("length", [1, 64, 200])
def test_a_long_episode_finds_room(length: int) -> None:
    store = EpisodeStore(1, 1)
    for t in range(length):
        assert not store.ready(1)
        store.add(rows(t, 1), np.array([True]), np.array([t == length - 1]))
    taken = store.take(1)
    assert taken["x"].tolist() == [10.0 * t for t in range(length)]
