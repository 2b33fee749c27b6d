from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.core import resources
from rlkit.core.checkpoint import Store
from rlkit.core.types import StepInfo, Transition, UsageError
from rlkit.replay import UniformReplay, uniform
from rlkit.replay.frames import ArrayFrames, allocate, frame_count
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
    whole = replay.everything()
    assert [row(whole, i) for i in range(len(whole.index))] == naive.rows
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
        patch.setattr(uniform, "SEGMENT", segment)
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
    monkeypatch.setattr(uniform, "SEGMENT", 10)
    replay, store = UniformReplay(35, np.random.default_rng(0)), Store(tmp_path, keep=9)

    def checkpoint(additions: int) -> dict[str, int]:
        for _ in range(additions):
            number = replay._rows.total + len(replay._pending[uniform.LAST])
            replay.add(transition(number, [True]))
        folder = store.save(number + 1, replay.state_dict()) / "segments"
        return {path.name.removesuffix(".npz"): path.stat().st_ino for path in folder.iterdir()}

    first, second, third = checkpoint(24), checkpoint(10), checkpoint(20)
    # Each observation is the last one's successor: so many transitions show one frame more.
    assert sorted(first) == [f"replay-frames-{span}" for span in ("0-10", "10-20", "20-25")] + [
        f"replay-rows-{span}" for span in ("0-10", "10-20", "20-24")
    ]
    assert sorted(second) == [f"replay-frames-{span}" for span in ("0-10", "10-20", "20-30", "30-35")] + [
        f"replay-rows-{span}" for span in ("0-10", "10-20", "20-30", "30-34")
    ]
    # 54 added, 35 kept: the oldest is number 19.
    spans = ("19-20", "20-30", "30-40", "40-50")
    assert sorted(third) == [f"replay-frames-{span}" for span in (*spans, "50-55")] + [
        f"replay-rows-{span}" for span in (*spans, "50-54")
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
    counts = np.bincount(replay.sample(80_000).index - 22, minlength=8)
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
    # A row: an action of 8 bytes, reward and discount of 4, two places of 4, 17 of bookkeeping; frames of 8 bytes,
    # with room for two a row, and for four more.
    monkeypatch.setattr(resources, "available_memory", lambda: 1000 * 41 + (2 * 1000 + 4) * 8)
    rows = transition(0, [True])
    UniformReplay(1000, np.random.default_rng(0)).add(rows)
    with pytest.raises(UsageError, match=r"a replay of 1,001 transitions needs .* GB.*set replay.capacity lower"):
        UniformReplay(1001, np.random.default_rng(0)).add(rows)


def test_it_tells_of_its_memory_before_it_takes_any(monkeypatch: pytest.MonkeyPatch) -> None:
    space, told = spaces.Box(0, 255, (4, 84, 84), np.uint8), []
    monkeypatch.setattr(resources, "available_memory", lambda: 8 * 10**9)
    UniformReplay(10**6, np.random.default_rng(0), frame_stack=4, observation_space=space, notify=told.append)
    assert told == ["a replay of 1,000,000 transitions takes up to 7.1 GB (memory)"]
    monkeypatch.setattr(resources, "available_memory", lambda: 7 * 10**9)
    with pytest.raises(UsageError, match=r"needs 7.1 GB, 7.0 GB are free; set replay.capacity lower, or .*=disk"):
        UniformReplay(10**6, np.random.default_rng(0), frame_stack=4, observation_space=space)
    assert frame_count(10**6, 4, 8, 84 * 84) * 84 * 84 + 10**6 * (16 + 20 + 17) < 7.2e9


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_step": 0}, "replay.n_step is 0; it must be at least 1"),
        ({"location": "dsik"}, "replay.location is 'dsik'; it must be one of auto, memory, disk, gpu"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        UniformReplay(10, np.random.default_rng(0), **options)


def test_returns_of_several_steps_are_discounted_by_whoever_samples() -> None:
    replay = UniformReplay(10, np.random.default_rng(0), n_step=3)
    reached = np.zeros((1, 1), np.float32)
    for t, reward in enumerate((1.0, 2.0, 4.0)):
        rows = transition(t, [True])
        successor = np.full((1, 1), t + 1, np.float32)
        column = {"reward": np.array([reward], np.float32), "discount": np.ones(1, np.float32)}
        replay.add(rows._replace(observation=reached, next_observation=successor, **column))
        reached = successor
    for gamma in (0.5, 0.25):
        batch = replay.everything(gamma)
        assert batch.reward.tolist() == [1 + 2 * gamma + 4 * gamma**2, 2 + 4 * gamma, 4.0]
        assert batch.discount.tolist() == [gamma**2, gamma, 1.0]
    with pytest.raises(UsageError, match=r"replay.n_step is 3; more than 1 needs a gamma: pass the agent's to sample"):
        replay.sample(2)


def test_a_loaded_replay_knows_whose_rows_follow_each_other() -> None:
    replay = UniformReplay(20, np.random.default_rng(0), n_step=2)
    reached = np.zeros((2, 1), np.float32)
    for t in range(3):
        rows = transition(t, [True, True])
        column = {"reward": np.array([t + 1, 10 * (t + 1)], np.float32), "discount": np.ones(2, np.float32)}
        successor = reached + 1
        replay.add(rows._replace(observation=reached, next_observation=successor, **column))
        reached = successor
    other = UniformReplay(20, np.random.default_rng(0), n_step=2)
    other.load_state_dict(replay.state_dict())
    for one in (replay, other):
        assert one.everything(1.0).reward.tolist() == [1 + 2, 10 + 20, 2 + 3, 20 + 30, 3, 30]


def test_rows_that_wait_go_on_waiting_whatever_is_asked() -> None:
    replay, rows = UniformReplay(10, np.random.default_rng(0)), transition(0, [True])
    for t in range(4):
        replay.add(rows)
        rows = transition(t + 1, [True])._replace(observation=rows.next_observation)
    queries = (lambda: len(replay), replay.state_dict, replay.everything)
    for query in queries:
        query()
        assert (replay._waiting, replay._rows.total, len(replay)) == (3, 1, 4)


def test_a_replay_on_a_gpu_needs_an_agent_there() -> None:
    space = spaces.Box(0, 1, (2,))
    with pytest.raises(UsageError, match=r"replay.location=gpu needs an agent on a GPU, not device=cpu"):
        UniformReplay(10, np.random.default_rng(0), location="gpu", observation_space=space)


def test_more_environments_than_the_capacity_are_refused() -> None:
    with pytest.raises(UsageError, match=r"replay.capacity is 2; it must be at least num_envs=3"):
        UniformReplay(2, np.random.default_rng(0)).add(transition(0, [True] * 3))


def test_memory_of_a_batch_is_used_again_only_when_nobody_holds_it() -> None:
    frames = ArrayFrames(np.arange(60, dtype=np.uint8).reshape(20, 3))
    places = np.array([[1, 2], [3, 4]])
    array = frames.take(places)
    address, view = array.ctypes.data, torch.from_numpy(array[:, 1:])
    del array
    # Only a tensor of a view is left of it.
    others = [frames.take(places + 5) for _ in range(6)]
    assert view.tolist() == [[[6, 7, 8]], [[12, 13, 14]]]
    assert address not in {other.ctypes.data for other in others}
    del view, others
    assert frames.take(places).ctypes.data in {buffer.ctypes.data for buffer in frames._buffers._arrays}
    assert frames.take(places).tolist() == [[[3, 4, 5], [6, 7, 8]], [[9, 10, 11], [12, 13, 14]]]


def test_what_is_read_for_a_checkpoint_has_memory_of_its_own() -> None:
    frames = ArrayFrames(np.arange(6, dtype=np.uint8).reshape(2, 3))
    first = frames.read(np.array([0]))
    assert frames.read(np.array([1])).tolist() == [[3, 4, 5]]
    assert first.tolist() == [[0, 1, 2]]
    assert not frames._buffers._arrays


@pytest.mark.parametrize("capacity", [8, 10, 15, 16, 17])
def test_a_replay_hardly_larger_than_a_step_of_all_environments_holds_the_newest(capacity: int) -> None:
    replay, naive = UniformReplay(capacity, np.random.default_rng(0)), Naive(capacity)
    reached = None
    for step in range(30):
        rows = transition(8 * step, [True] * 8)
        rows = rows if reached is None else rows._replace(observation=reached)
        reached = rows.next_observation
        replay.add(rows)
        naive.add(rows)
    drawn, found = replay.sample(100), replay.everything()
    assert found.reward.tolist() == [row[2] for row in naive.rows]
    assert (drawn.reward * 4).tolist() == drawn.index.tolist()
    assert drawn.index.min() >= 240 - capacity
    assert drawn.index.max() < 240


def test_an_agent_that_only_acts_needs_no_room_for_its_replay() -> None:
    huge = {"capacity": 10**12, "rng": np.random.default_rng(0), "observation_space": spaces.Box(0, 1, (9,))}
    with pytest.raises(UsageError, match=r"set replay\.capacity lower"):
        UniformReplay(**huge)
    assert len(UniformReplay(**huge, learns=False)) == 0


def test_the_folder_of_a_replay_on_disk_is_made(tmp_path: Path) -> None:
    frames = allocate(2, np.zeros(3, np.uint8), "disk", "cpu", tmp_path / "run" / "scratch")
    frames.put(0, np.full((2, 3), 7, np.uint8))
    assert frames.read(np.arange(2)).tolist() == [[7, 7, 7], [7, 7, 7]]
    assert not list((tmp_path / "run" / "scratch").iterdir())


def test_a_disk_without_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UsageError, match=r"needs 0\.0 GB in .*: No space left on device; free space, or set replay"):
        allocate(10, np.zeros(4, np.uint8), "disk", "cpu", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="files elsewhere are not taken beforehand")
def test_a_replay_on_disk_has_its_room_from_the_start(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bfree
    frames = allocate(50_000, np.zeros(1000, np.uint8), "disk", "cpu", tmp_path)
    assert (free - os.statvfs(tmp_path).f_bfree) * os.statvfs(tmp_path).f_frsize > 40_000_000
    del frames
