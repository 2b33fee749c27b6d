from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit import replay as module
from rlkit import resources
from rlkit.checkpoint import Store
from rlkit.core import StepInfo, Transition, UsageError
from rlkit.replay import UniformReplay
from toys import assert_same


def transition(first: int, valid: list[bool], *, masks: bool = False, last: bool = False) -> Transition:
    """Return rows that can be told apart, all of whose fields follow from one number."""
    n = len(valid)
    number = np.arange(first, first + n)
    legal = np.stack([number % 2 == 0, np.ones(n, bool)], axis=1)
    return Transition(
        observation=np.stack([number, -number], axis=1).astype(np.float32),
        action=number % 5,
        reward=(number / 4).astype(np.float32),
        discount=(number % 3 > 0).astype(np.float32),
        next_observation=np.stack([number + 1, -number - 1], axis=1).astype(np.float32),
        last=np.full(n, last),
        valid=np.array(valid),
        legal_actions=~legal if masks else None,
        next_legal_actions=legal if masks else None,
        info=StepInfo(np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)),
    )


class Naive:
    """A list of transitions, oldest first."""

    def __init__(self, capacity: int):
        self.capacity, self.rows = capacity, []

    def add(self, rows: Transition) -> None:
        for i, valid in enumerate(rows.valid):
            if valid:
                self.rows.append(row(rows, i))
        self.rows = self.rows[-self.capacity :]


def row(rows: Any, i: int) -> tuple[Any, ...]:
    return (
        rows.observation[i].tolist(),
        int(rows.action[i]),
        float(rows.reward[i]),
        float(rows.discount[i]),
        rows.next_observation[i].tolist(),
        None if rows.next_legal_actions is None else rows.next_legal_actions[i].tolist(),
    )


ADDITIONS = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=15)


def filled(capacity: int, additions: list[list[bool]], *, masks: bool = False) -> tuple[UniformReplay, Naive]:
    replay, naive = UniformReplay(capacity, np.random.default_rng(0)), Naive(capacity)
    for k, valid in enumerate(additions):
        rows = transition(10 * k, valid, masks=masks)
        replay.add(rows)
        naive.add(rows)
    return replay, naive


@given(capacity=st.integers(3, 40), additions=ADDITIONS, masks=st.booleans())
def test_it_holds_the_newest_valid_transitions_and_samples_only_whole_rows_of_them(
    capacity: int, additions: list[list[bool]], masks: bool
) -> None:
    replay, naive = filled(capacity, additions, masks=masks)
    assert len(replay) == len(naive.rows)
    if not naive.rows:
        return
    batch = replay.sample(60 * len(naive.rows))
    drawn = [row(batch, i) for i in range(len(batch.index))]
    assert sorted({repr(item) for item in drawn}) == sorted({repr(item) for item in naive.rows})
    assert batch.weight.tolist() == [1.0] * len(drawn)
    assert batch.weight.dtype == np.float32
    # The index says where a row lies: equal rows have equal indices.
    places = {int(place): item for place, item in zip(batch.index, drawn, strict=True)}
    assert len(places) == len(naive.rows)
    assert all(places[int(place)] == item for place, item in zip(batch.index, drawn, strict=True))


@settings(max_examples=30)
@given(
    capacity=st.integers(3, 30), segment=st.integers(2, 15), additions=ADDITIONS, more=ADDITIONS, masks=st.booleans()
)
def test_it_continues_exactly_from_a_checkpoint(
    capacity: int, segment: int, additions: list[list[bool]], more: list[list[bool]], masks: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(module, "SEGMENT", segment)
        replay, naive = filled(capacity, additions, masks=masks)
        store = Store(Path(folder), keep=2)
        store.save(1, {"replay": replay.state_dict()})
        for k, valid in enumerate(more):
            rows = transition(1000 + 10 * k, valid, masks=masks)
            replay.add(rows)
            naive.add(rows)
        # The second checkpoint links what the first holds.
        store.save(2, {"replay": replay.state_dict()})
        early, late = (UniformReplay(capacity, np.random.default_rng(99)) for _ in range(2))
        early.load_state_dict(store.load(1)["replay"])
        late.load_state_dict(store.load(2)["replay"])
        for k, valid in enumerate(more):
            early.add(transition(1000 + 10 * k, valid, masks=masks))
        assert len(replay) == len(early) == len(late) == len(naive.rows)
        if naive.rows:
            batch = replay.sample(50)
            assert_same(early.sample(50), batch)
            assert_same(late.sample(50), batch)
            assert {repr(row(batch, i)) for i in range(50)} <= {repr(item) for item in naive.rows}


def test_sampling_after_loading_equals_sampling_without_a_break(tmp_path: Path) -> None:
    replay, _ = filled(50, [[True, False, True]] * 40)
    replay.sample(7)
    store = Store(tmp_path)
    store.save(1, replay.state_dict())
    other = UniformReplay(50, np.random.default_rng(99))
    other.load_state_dict(store.load(1))
    for _ in range(3):
        assert_same(other.sample(16), replay.sample(16))


def test_a_checkpoint_writes_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT", 10)
    replay, store = UniformReplay(35, np.random.default_rng(0)), Store(tmp_path, keep=9)

    def checkpoint(additions: int) -> dict[str, int]:
        for _ in range(additions):
            replay.add(transition(replay._total, [True]))
        folder = store.save(replay._total, replay.state_dict()) / "segments"
        return {path.name: path.stat().st_ino for path in folder.iterdir()}

    first, second, third = checkpoint(24), checkpoint(10), checkpoint(20)
    assert sorted(first) == ["replay-0-10.npz", "replay-10-20.npz", "replay-20-24.npz"]
    assert sorted(second) == ["replay-0-10.npz", "replay-10-20.npz", "replay-20-30.npz", "replay-30-34.npz"]
    # 54 added, 35 kept: the oldest is number 19.
    assert sorted(third) == [
        "replay-19-20.npz",
        "replay-20-30.npz",
        "replay-30-40.npz",
        "replay-40-50.npz",
        "replay-50-54.npz",
    ]
    for before, after in ((first, second), (second, third)):
        shared = set(before) & set(after)
        assert shared
        assert all(before[name] == after[name] for name in shared)
    other = UniformReplay(35, np.random.default_rng(0))
    other.load_state_dict(store.load(54))
    numbers = {int(number) for number in other.sample(2000).observation[:, 0]}
    assert numbers == set(range(19, 54))


def test_sampling_is_uniform_with_replacement() -> None:
    replay, _ = filled(8, [[True] * 3] * 10)
    counts = np.bincount(replay.sample(80_000).index, minlength=8)
    # Eight counts of mean 10,000 and deviation 94: six deviations.
    assert np.abs(counts - 10_000).max() < 6 * 94


def test_a_sample_is_a_copy() -> None:
    replay, _ = filled(8, [[True] * 3] * 10)
    batch = replay.sample(4)
    before = batch.observation.copy()
    for k in range(20):
        replay.add(transition(10_000 + k, [True] * 3))
    np.testing.assert_array_equal(batch.observation, before)


def test_what_was_added_is_a_copy() -> None:
    replay, rows = UniformReplay(3, np.random.default_rng(0)), transition(0, [True] * 3)
    replay.add(rows)
    rows.observation[:] = 77
    assert not (replay.sample(50).observation == 77).any()


def test_shapes_and_dtypes_are_those_of_the_transitions() -> None:
    replay = UniformReplay(4, np.random.default_rng(0))
    rows = transition(0, [True, True])._replace(
        observation=np.zeros((2, 3, 3), np.uint8),
        next_observation=np.ones((2, 3, 3), np.uint8),
        action=np.zeros((2, 2), np.float32),
    )
    replay.add(rows)
    batch = replay.sample(5)
    assert (batch.observation.shape, batch.observation.dtype) == ((5, 3, 3), np.uint8)
    assert (batch.action.shape, batch.action.dtype) == ((5, 2), np.float32)
    assert batch.next_legal_actions is None


def test_an_empty_replay_comes_back_empty(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(1, UniformReplay(4, np.random.default_rng(0)).state_dict())
    other = UniformReplay(4, np.random.default_rng(1))
    other.add(transition(0, [True]))
    other.load_state_dict(store.load(1))
    assert len(other) == 0


def test_truncation_bootstraps_from_the_true_successor_and_not_from_the_next_episode() -> None:
    # Observation 4, true successor 5, truncated; the next episode starts at 100 (facts/peers.md, section 3).
    replay = UniformReplay(10, np.random.default_rng(0))
    one = transition(0, [True])
    replay.add(one._replace(observation=np.array([4.0]), next_observation=np.array([5.0]), last=np.array([True])))
    replay.add(one._replace(observation=np.array([100.0]), next_observation=np.array([101.0])))
    batch = replay.sample(100)
    assert set(zip(batch.observation.tolist(), batch.next_observation.tolist(), strict=True)) == {(4, 5), (100, 101)}


def test_it_refuses_before_it_takes_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "available_memory", lambda: 1000 * 33)
    # A row: two observations of 8 bytes, an action of 8, reward and discount of 4.
    rows = transition(0, [True])
    UniformReplay(1000, np.random.default_rng(0)).add(rows)
    with pytest.raises(UsageError, match=r"a replay of 1,200 transitions needs .* GB.*set replay.capacity lower"):
        UniformReplay(1200, np.random.default_rng(0)).add(rows)
