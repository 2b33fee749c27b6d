"""The replay against a plain list of transitions: every kind of end, every combination of its options."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transition_list import EVENTS, GAMMA, Naive, Stream

from rlkit.core.checkpoint import Store
from rlkit.core.schedules import Constant, Linear
from rlkit.core.types import Array, Batch, Transition
from rlkit.replay import PrioritizedReplay, UniformReplay, uniform
from rlkit.replay.frames import TensorFrames
from rlkit.replay.rows import TransitionRing
from rlkit.replay.sums import SumTree
from toys import assert_same


def shown(batch: Batch, i: int) -> tuple[Any, ...]:
    return (
        np.asarray(batch.observation[i]).tolist(),
        int(batch.action[i]),
        float(batch.reward[i]),
        float(batch.discount[i]),
        np.asarray(batch.next_observation[i]).tolist(),
        None if batch.next_legal_actions is None else batch.next_legal_actions[i].tolist(),
    )


class Case(NamedTuple):
    """One combination."""

    capacity: int
    n: int
    stack: int
    padding: str
    masks: bool
    shared: bool
    n_step: int
    prioritized: bool
    location: str
    compress: bool

    def replay(self, seed: int = 0) -> UniformReplay:
        options = {
            "n_step": self.n_step,
            "frame_stack": self.stack,
            "location": self.location,
            "compress": self.compress,
            "num_envs": self.n,
        }
        rng = np.random.default_rng(seed)
        if not self.prioritized:
            return UniformReplay(self.capacity, rng, **options)
        return PrioritizedReplay(self.capacity, rng, alpha=0.6, beta=Linear(0.4, 1.0, 50), epsilon=1e-6, **options)

    def stream(self) -> Stream:
        return Stream(self.n, self.stack, self.padding, self.masks, self.shared)


CASES = st.builds(
    Case,
    capacity=st.integers(4, 40),
    n=st.integers(1, 4),
    stack=st.integers(1, 4),
    padding=st.sampled_from(["repeat", "zeros"]),
    masks=st.booleans(),
    shared=st.booleans(),
    n_step=st.integers(1, 4),
    prioritized=st.booleans(),
    location=st.sampled_from(["memory", "disk"]),
    compress=st.booleans(),
)


@st.composite
def scripts(draw: st.DrawFn, n: int, size: int = 30) -> list[list[str]]:
    return draw(st.lists(st.lists(st.sampled_from(EVENTS), min_size=n, max_size=n), min_size=1, max_size=size))


def check_rows(replay: UniformReplay, naive: Naive, n_step: int) -> Array:
    """Hold every row that the replay has against the list's, and return their numbers."""
    size, batch = len(replay), replay.everything(GAMMA)
    assert batch.index.tolist() == list(range(len(naive.rows) - size, len(naive.rows)))
    for i, number in enumerate(batch.index):
        assert shown(batch, i) == naive.sampled(int(number), n_step)
    return batch.index


def check(replay: UniformReplay, naive: Naive, case: Case) -> None:
    """Hold every row that the replay has, and a sample, against the list's."""
    if len(replay) == 0:
        return
    numbers = check_rows(replay, naive, case.n_step)
    drawn = replay.sample(16, GAMMA)
    for i, number in enumerate(drawn.index):
        assert number in numbers
        assert shown(drawn, i) == naive.sampled(int(number), case.n_step)


@settings(max_examples=200)
@given(data=st.data(), case=CASES)
def test_every_row_is_that_of_a_list_of_transitions(data: st.DataObject, case: Case) -> None:
    replay, naive, stream = case.replay(), Naive(), case.stream()
    for step, events in enumerate(data.draw(scripts(case.n))):
        rows = stream.step(events)
        replay.add(rows)
        naive.add(rows)
        if step % 4 == 0:
            check(replay, naive, case)
    assert len(replay) == min(case.capacity, len(naive.rows))
    check(replay, naive, case)


@settings(max_examples=60)
@given(data=st.data(), case=CASES, spare=st.integers(0, 6))
def test_a_query_changes_nothing_and_tells_what_is_there(data: st.DataObject, case: Case, spare: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        least = case.n * (case.stack + 1) ** 2
        patch.setattr(uniform, "frame_count", lambda capacity, *rest: capacity + spare + least)
        asked, unasked, stream = case.replay(), case.replay(), case.stream()
        for step, rows in enumerate(_played(stream, data.draw(scripts(case.n, 60)))):
            for replay in (asked, unasked):
                replay.add(rows)
            waiting, entered = asked._waiting, asked._rows.total
            size = len(asked)
            if size:
                assert len(asked.everything(GAMMA).index) == size
            if step % 5 == 0:
                Store(Path(folder)).save(step + 1, asked.state_dict())
            assert (asked._waiting, asked._rows.total, len(asked)) == (waiting, entered, size)
            if size and step % 7 == 0:
                assert_same(asked.sample(8, GAMMA), unasked.sample(8, GAMMA))
                for replay in (asked, unasked):
                    numbers = np.arange(max(0, replay._rows.total - 8), replay._rows.total)
                    replay.update_priorities(numbers, np.linspace(0, 3, len(numbers), dtype=np.float32))
        paths = [Store(Path(folder) / name).save(1, one.state_dict()) for name, one in (("a", asked), ("b", unasked))]
        contents = [{str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.npz")} for path in paths]
        assert contents[0] == contents[1]


def truncated(rows: Transition) -> Array:
    return (rows.last & (rows.discount == 1))[:, None, None, None]


class ShowsTheSameAgain(UniformReplay):
    """Where an episode was truncated, gives the observation for its own successor."""

    def add(self, transition: Transition) -> None:
        shown = np.where(truncated(transition), transition.observation, transition.next_observation)
        super().add(transition._replace(next_observation=shown))


class ShowsTheNextEpisode(UniformReplay):
    """Where an episode was truncated, gives the next one's first observation: the newest row waits for it."""

    waiting: Transition | None = None

    def add(self, transition: Transition) -> None:
        if self.waiting is not None:
            rows = self.waiting
            shown = np.where(truncated(rows), transition.observation, rows.next_observation)
            super().add(rows._replace(next_observation=shown))
        self.waiting = transition


class GoesOnIntoTheNextEpisode(UniformReplay):
    """Adds up rewards of several steps across the end of an episode, of one environment."""

    def _batch(self, *arguments: Any) -> Batch:
        self._rows.arrays["successor"][: self._rows.total - 1] = np.arange(1, self._rows.total)
        return super()._batch(*arguments)


class TakesResetsForSteps(UniformReplay):
    """Stores the step from an episode's end to the next one's beginning, in which nobody acted."""

    def add(self, transition: Transition) -> None:
        super().add(transition._replace(valid=np.ones_like(transition.valid)))


DEFECTS = {
    ShowsTheSameAgain: ["goes on", "goes on", "truncates", "goes on", "goes on"],
    ShowsTheNextEpisode: ["goes on", "goes on", "truncates", "goes on", "goes on"],
    GoesOnIntoTheNextEpisode: ["goes on", "goes on", "truncates", "goes on", "goes on"],
    TakesResetsForSteps: ["goes on", "goes on", "is reset late", "goes on", "goes on"],
}


@pytest.mark.parametrize("defect", [UniformReplay, *DEFECTS])
@pytest.mark.parametrize("n_step", [1, 3])
def test_copies_of_known_defects_are_found(defect: type[UniformReplay], n_step: int) -> None:
    """As other libraries had or have them; the sound replay passes all the scripts."""
    for script in DEFECTS.values() if defect is UniformReplay else [DEFECTS[defect]]:
        replay = defect(20, np.random.default_rng(0), n_step=n_step, frame_stack=2)
        stream, naive, added = Stream(1, 2, "repeat", False, True), Naive(), []
        for event in script:
            added.append(stream.step([event]))
            replay.add(added[-1])
        for rows in added[: len(replay)] if defect is ShowsTheNextEpisode else added:
            naive.add(rows)
        sound = True
        try:
            assert len(replay) == len(naive.rows)
            check_rows(replay, naive, n_step)
        except AssertionError:
            sound = False
        # One step alone cannot go on into the next episode.
        assert sound == (defect is UniformReplay or (defect is GoesOnIntoTheNextEpisode and n_step == 1))


@pytest.mark.parametrize(
    ("oldest", "block", "first"),
    [(1, 3, 2), (2, 1, 2), (2, 2, 4), (2, 9, 4), (5, 2, 4), (6, 2, 5), (7, 9, 5), (9, 1, 6), (9, 9, 6)],
)
def test_the_first_whole_row_comes_after_the_last_that_shows_a_lost_frame(oldest: int, block: int, first: int) -> None:
    rows = TransitionRing(4)
    for number, shown in enumerate([0, 0, 2, 1, 5, 7]):
        rows.add({"oldest": np.array([shown]), "env": np.array([0]), "follows": np.array([number > 0])})
    # The first two have been written over; within a block of one, row 2 hides that row 3 shows an older frame.
    assert rows.first_with(oldest, 2, block) == first


@settings(max_examples=60)
@given(data=st.data(), case=CASES, spare=st.integers(0, 6))
def test_with_little_room_for_frames_the_oldest_rows_go_early(data: st.DataObject, case: Case, spare: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        least = case.n * (case.stack + 1) ** 2
        patch.setattr(uniform, "frame_count", lambda capacity, *rest: capacity + spare + least)
        replay, naive, stream = case.replay(), Naive(), case.stream()
        for events in data.draw(scripts(case.n, 60)):
            rows = stream.step(events)
            replay.add(rows)
            naive.add(rows)
            assert len(replay) <= min(case.capacity, len(naive.rows))
            assert len(replay) > 0 or not naive.rows
            check(replay, naive, case)


@settings(max_examples=60)
@given(data=st.data(), case=CASES, segment=st.integers(2, 9))
def test_it_goes_on_from_a_checkpoint_as_if_there_had_been_none(data: st.DataObject, case: Case, segment: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(uniform, "SEGMENT", segment)
        whole, naive, stream, store = case.replay(), Naive(), case.stream(), Store(Path(folder), keep=99)
        before, after = data.draw(scripts(case.n)), data.draw(scripts(case.n))
        for rows in _played(stream, before):
            whole.add(rows)
            naive.add(rows)
        store.save(1, whole.state_dict())
        resumed = case.replay(seed=9)
        resumed.load_state_dict(store.load(1))
        for step, rows in enumerate(_played(stream, after)):
            naive.add(rows)
            for replay in (whole, resumed):
                replay.add(rows)
            if len(whole) and step % 3 == 0:
                drawn = whole.sample(8, GAMMA)
                assert_same(resumed.sample(8, GAMMA), drawn)
                for replay in (whole, resumed):
                    replay.update_priorities(drawn.index, np.linspace(0, 2, 8, dtype=np.float32))
        named = {"whole": whole, "resumed": resumed}
        paths = [Store(Path(folder) / name).save(2, replay.state_dict()) for name, replay in named.items()]
        contents = [{str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.npz")} for path in paths]
        assert contents[0] == contents[1]
        check(resumed, naive, case)


def _played(stream: Stream, script: list[list[str]]) -> Iterator[Transition]:
    return (stream.step(events) for events in script)


@settings(max_examples=40)
@given(data=st.data(), case=CASES)
def test_frames_in_a_tensor_are_those_in_an_array(data: st.DataObject, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        arrays = case.replay()
        tensors = case.replay()
        script = data.draw(scripts(case.n))
        for replay, tensor in ((arrays, False), (tensors, True)):
            if tensor:
                patch.setattr(uniform, "allocate", lambda size, frame, *rest: _tensor_frames(size, frame))
            for rows in _played(case.stream(), script):
                replay.add(rows)
        if len(arrays):
            assert_same(_as_arrays(tensors.sample(10, GAMMA)), arrays.sample(10, GAMMA))


def _tensor_frames(size: int, frame: Array) -> TensorFrames:
    return TensorFrames(size, frame.shape, frame.dtype, "cpu")


def _as_arrays(batch: Batch) -> Batch:
    observation: Any = batch.observation
    successor: Any = batch.next_observation
    return batch._replace(observation=observation.numpy(), next_observation=successor.numpy())


@given(
    values=st.lists(st.floats(0, 100), min_size=1, max_size=400),
    changes=st.lists(st.tuples(st.integers(0, 399), st.floats(0, 100)), max_size=20),
)
def test_sums_are_those_of_the_numbers_and_masses_find_their_places(
    values: list[float], changes: list[tuple[int, float]]
) -> None:
    tree, size = SumTree(len(values)), len(values)
    numbers = np.array(values)
    tree[np.arange(size)] = numbers
    for place, value in changes:
        numbers[place % size] = value
        tree[np.array([place % size])] = value
    anew = SumTree(size)
    anew[np.arange(size)] = numbers
    assert tree.total == anew.total
    assert tree.total == pytest.approx(numbers.sum())
    np.testing.assert_array_equal(tree[np.arange(size)], numbers)
    if tree.total > 0:
        mass = np.linspace(0, 1, 200, endpoint=False) * tree.total
        found = tree.prefix_sum_index(mass)
        assert (numbers[found] > 0).all()
        ends = numbers.cumsum()
        for one, place in zip(mass, found, strict=True):
            assert ends[place] - numbers[place] <= one * (1 + 1e-9) + 1e-9
            assert one <= ends[place] * (1 + 1e-9) + 1e-9


def prioritized(**options: Any) -> tuple[PrioritizedReplay, Stream]:
    case = Case(64, 2, 1, "repeat", False, True, 1, True, "memory", False)
    settings: dict[str, Any] = {"alpha": 0.6, "beta": Constant(0.4), "epsilon": 1e-6, "num_envs": 2, **options}
    return PrioritizedReplay(64, np.random.default_rng(0), **settings), case.stream()


def test_rows_are_drawn_in_proportion_to_their_priority_and_weighted_against_it() -> None:
    replay, stream = prioritized()
    for _ in range(50):
        replay.add(stream.step(["goes on", "terminates"]))
    numbers = np.arange(36, 100)
    errors = np.linspace(-3, 3, 64).astype(np.float32)
    replay.update_priorities(numbers, errors)
    priority = (np.abs(errors.astype(np.float64)) + 1e-6) ** 0.6
    chance = priority / priority.sum()
    draws = 200_000
    batch = replay.sample(draws)
    counts = np.bincount(batch.index - 36, minlength=64)
    assert (np.abs(counts - draws * chance) < 6 * np.sqrt(draws * chance) + 1).all()
    weight = (64 * chance) ** -0.4
    expected = (weight[batch.index - 36] / weight[batch.index - 36].max()).astype(np.float32)
    np.testing.assert_allclose(batch.weight, expected, rtol=1e-6)


def test_beta_grows_with_the_transitions_added() -> None:
    replay, stream = prioritized(beta=Linear(0.0, 1.0, 40))
    replay.add(stream.step(["goes on", "goes on"]))
    replay.update_priorities(np.array([0, 1]), np.array([1.0, 8.0], np.float32))
    lightest = [float(replay.sample(200).weight.min())]
    for _ in range(19):
        replay.add(stream.step(["goes on", "goes on"]))
    replay.update_priorities(np.arange(40), np.array([1.0, 8.0] * 20, np.float32))
    lightest.append(float(replay.sample(200).weight.min()))
    assert lightest == pytest.approx([(8**0.6) ** -0.05, 8**-0.6], rel=1e-5)


def test_new_rows_have_the_highest_priority_seen() -> None:
    replay, stream = prioritized()
    replay.add(stream.step(["goes on", "goes on"]))
    replay.update_priorities(np.array([0, 1]), np.array([0.0, 5.0], np.float32))
    replay.add(stream.step(["goes on", "goes on"]))
    counts = np.bincount(replay.sample(3_000).index, minlength=4)
    assert counts[0] < 5
    assert np.abs(counts[1:] - 1000).max() < 6 * 26


@pytest.mark.parametrize("alpha", [1000, 1e9])
def test_no_exponent_makes_a_priority_zero_or_infinite(alpha: float) -> None:
    replay, stream = prioritized(alpha=alpha)
    for _ in range(40):
        replay.add(stream.step(["goes on", "goes on"]))
    for errors in (np.zeros(80), np.linspace(0, 9, 80)):
        replay.update_priorities(np.arange(80), errors.astype(np.float32))
        weight = replay.sample(100).weight
        assert np.isfinite(weight).all()
        assert weight.max() == 1


def test_priorities_of_rows_that_are_gone_are_passed_over() -> None:
    replay, stream = prioritized()
    for _ in range(40):
        replay.add(stream.step(["goes on", "goes on"]))
    # 80 were added, 64 are there: number 3 lies no more where number 67 does now.
    replay.update_priorities(np.array([3]), np.array([1e6], np.float32))
    assert np.bincount(replay.sample(6_400).index, minlength=80)[67] < 200


def test_a_file_on_disk_is_gone_with_its_replay(tmp_path: Path) -> None:
    replay = UniformReplay(1000, np.random.default_rng(0), location="disk", scratch=tmp_path / "replay", num_envs=2)
    replay.add(Stream(2, 1, "repeat", False, True).step(["goes on"] * 2))
    assert len(replay) == 2
    assert list((tmp_path / "replay").iterdir()) == []


def test_a_step_of_stacked_frames_costs_one_frame() -> None:
    stream = Stream(2, 4, "repeat", False, True)
    replay = UniformReplay(1000, np.random.default_rng(0), frame_stack=4, num_envs=2)
    for _ in range(100):
        replay.add(stream.step(["goes on"] * 2))
    # Two more: what the environments showed at first, padded with itself.
    assert len(replay) == 200
    assert replay._shown == 202
