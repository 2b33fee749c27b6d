"""Storage for policy gradients, beside plain lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.checkpoint import Store
from rlkit.moments import Moments, RewardScale
from rlkit.rollout import EpisodeStore, Rollout
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


@given(st.data(), st.integers(1, 3), st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_episodes_are_those_of_plain_lists(data: st.DataObject, n: int, steps: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    share, take = data.draw(st.sampled_from([0.0, 0.05, 0.5])), data.draw(st.integers(1, 20))
    store, open_, ended = EpisodeStore(n), [[] for _ in range(n)], [[] for _ in range(n)]  # type: ignore[var-annotated]
    for t in range(steps):
        valid, last = rng.random(n) < 0.9, rng.random(n) < share
        row = rows(t, n)
        store.add(row, valid, last)
        for i in np.flatnonzero(valid):
            open_[i].append((row["x"][i], row["y"][i].tolist()))
            if last[i]:
                ended[i] += open_[i]
                open_[i] = []
        if store.finished >= take:
            taken = [list(zip(part["x"], part["y"].tolist(), strict=True)) for part in store.take()]
            assert taken == [episodes for episodes in ended if episodes]
            assert store.finished == 0
            ended = [[] for _ in range(n)]
        elif t % 7 == 3:
            state = store.state_dict()
            store = EpisodeStore(n)
            store.load_state_dict(state)
    assert store.finished >= sum(bool(episodes) for episodes in ended)


def test_moments_are_those_of_all_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal([3.0, -1e4], [2.0, 1e-2], (500, 2))
    moments = Moments((2,))
    assert (moments.mean.tolist(), moments.variance.tolist()) == ([0, 0], [1, 1])
    for part in np.split(seen, [0, 1, 3, 100, 101]):
        moments.add(part)
        other = Moments((2,))
        other.load_state_dict(survived(moments.state_dict(), tmp_path))
        moments = other
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-6)


def test_rewards_are_divided_by_the_spread_of_their_discounted_sum() -> None:
    rng, scale, sums, seen = np.random.default_rng(0), RewardScale(2, 0.9), np.zeros(2), []
    for t in range(200):
        reward, last, valid = rng.normal(5, 3, 2), rng.random(2) < 0.1, np.array([True, t % 3 > 0])
        reward = np.where(valid, reward, 0.0)
        sums = 0.9 * sums + reward
        seen += sums[valid].tolist()
        found = scale(reward, last, valid)
        np.testing.assert_allclose(found, np.clip(reward / np.sqrt(np.var(seen) + 1e-8), -10, 10), rtol=1e-5)
        sums[last] = 0
    assert found.dtype == np.float32


@pytest.mark.parametrize("length", [1, 64, 200])
def test_a_long_episode_finds_room(length: int) -> None:
    store = EpisodeStore(1)
    for t in range(length):
        store.add(rows(t, 1), np.array([True]), np.array([t == length - 1]))
    (taken,) = store.take()
    assert taken["x"].tolist() == [10.0 * t for t in range(length)]
