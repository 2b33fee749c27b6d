"""Sequences of a replay against a list of transitions, through every kind of end, the seam of the ring and a resume."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transition_list import EVENTS, GAMMA, Naive, Stream

from rlkit.core.checkpoint import Store
from rlkit.core.types import Array, SequenceBatch, Transition, UsageError
from rlkit.replay import SequenceReplay
from toys import assert_same


class EachOnce:
    """A generator that draws every number once, in order."""

    def __init__(self) -> None:
        self.bit_generator = np.random.default_rng(0).bit_generator

    def integers(self, bound: int, size: int) -> Array:
        return np.arange(size) % bound


class Case(NamedTuple):
    """One combination."""

    capacity: int
    n: int
    stack: int
    masks: bool
    n_step: int
    learned: int
    burn_in: int

    def replay(self, rng: Any = None) -> SequenceReplay:
        options = {"n_step": self.n_step, "frame_stack": self.stack, "num_envs": self.n}
        capacity = max(self.capacity, self.n * (self.learned + self.burn_in))
        rng = rng or np.random.default_rng(3)
        return SequenceReplay(capacity, rng, length=self.learned + self.burn_in, burn_in=self.burn_in, **options)


CASES = st.builds(
    Case,
    capacity=st.integers(4, 40),
    n=st.integers(1, 3),
    stack=st.integers(1, 3),
    masks=st.booleans(),
    n_step=st.integers(1, 3),
    learned=st.integers(1, 4),
    burn_in=st.integers(0, 3),
)


def remembering(rows: Transition, step: int) -> Transition:
    """Return a transition with a memory that can be told apart."""
    before = step * 100 + np.arange(len(rows.valid), dtype=np.float32)
    return rows._replace(memory={"before": {"a": before[:, None], "b": -before[:, None]}, "hidden": {}})


def played(case: Case, script: list[list[str]]) -> list[Transition]:
    stream = Stream(case.n, case.stack, "repeat", case.masks, shared=True)
    return [remembering(stream.step(events), step) for step, events in enumerate(script)]


class Oracle(Naive):
    """A list of transitions that knows which sequences are in it."""

    def __init__(self, case: Case, capacity: int):
        super().__init__()
        self.case, self.capacity = case, capacity
        self.memories: list[float] = []

    def add(self, rows: Transition) -> None:
        super().add(rows)
        self.memories += rows.memory["before"]["a"][rows.valid, 0].tolist()

    def windows(self) -> list[list[int]]:
        """Return for each sequence the numbers of its rows and of all later ones of its environment."""
        found, length = [], self.case.learned + self.case.burn_in
        for env in range(self.case.n):
            first = max(0, len(self.rows) - self.capacity)
            mine = [number for number, row in enumerate(self.rows) if row.env == env and number >= first]
            found += [mine[i:] for i in range(len(mine) - length + 1)]
        return found

    def check(self, batch: SequenceBatch) -> None:
        windows = self.windows()
        assert batch.index.tolist() == [window[0] for window in windows]
        assert batch.memory["a"][:, 0].tolist() == [self.memories[window[0]] for window in windows]
        assert (batch.memory["b"] == -batch.memory["a"]).all()
        for m, window in enumerate(windows):
            self._check(batch, m, len(windows), window)

    def _check(self, batch: SequenceBatch, m: int, count: int, window: list[int]) -> None:
        env, burn_in = self.rows[window[0]].env, self.case.burn_in
        mine = [number for number, row in enumerate(self.rows) if row.env == env]
        for t, number in enumerate(window[: self.case.learned + burn_in + self.case.n_step - 1]):
            row, before = self.rows[number], mine.index(number) - 1
            assert batch.observation[t * count + m].tolist() == row.observation
            assert batch.begins[t, m] == (before < 0 or self.rows[mine[before]].last)
        for t in range(self.case.learned):
            number, i = window[burn_in + t], t * count + m
            _, action, reward, discount, successor, legal = self.sampled(number, self.case.n_step)
            shown = (batch.action[i], batch.reward[i], batch.discount[i], batch.next_observation[i].tolist())
            assert shown == (action, reward, discount, successor)
            assert legal is None or batch.next_legal_actions[i].tolist() == legal  # type: ignore[index]
            step, sequence = divmod(batch.end[i], count)
            assert sequence == m
            assert self.rows[window[burn_in + step]].next_observation == successor


def everything(replay: SequenceReplay) -> SequenceBatch:
    rng, replay._rng = replay._rng, EachOnce()  # type: ignore[assignment]
    batch = replay.sample(len(replay) * replay.learned, GAMMA)
    replay._rng = rng
    return batch


@settings(max_examples=120)
@given(data=st.data(), case=CASES)
def test_every_sequence_is_that_of_a_list_of_transitions(data: st.DataObject, case: Case) -> None:
    replay = case.replay()
    oracle = Oracle(case, replay._rows.capacity)
    events = st.lists(st.sampled_from(EVENTS), min_size=case.n, max_size=case.n)
    for step, rows in enumerate(played(case, data.draw(st.lists(events, min_size=1, max_size=30)))):
        replay.add(rows)
        oracle.add(rows)
        if step % 6 == 5 or step > 27:
            assert len(replay) == len(oracle.windows())
            if len(replay):
                oracle.check(everything(replay))


@settings(max_examples=25)
@given(data=st.data(), case=CASES)
def test_a_restored_replay_goes_on_as_the_first(data: st.DataObject, case: Case) -> None:
    events = st.lists(st.sampled_from(EVENTS), min_size=case.n, max_size=case.n)
    before, after = (played(case, data.draw(st.lists(events, min_size=12, max_size=40))) for _ in range(2))
    first, second = case.replay(), case.replay(np.random.default_rng(9))
    for rows in before:
        first.add(rows)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.save(1, first.state_dict())
        second.load_state_dict(store.load(1))
        for rows in after:
            for replay in (first, second):
                replay.add(rows)
            assert len(first) == len(second)
            if len(first):
                assert_same(first.sample(4 * first.learned, GAMMA), second.sample(4 * second.learned, GAMMA))


def test_sequences_are_drawn_uniformly_and_with_replacement() -> None:
    case = Case(60, 2, 1, False, 1, 2, 1)
    replay = case.replay()
    for rows in played(case, [["goes on", "terminates"]] * 10):
        replay.add(rows)
    drawn = replay.sample(2 * 8000).index
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == len(replay) == 16
    assert (abs(counts - 500) < 110).all()  # five standard deviations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 4, "burn_in": 4}, "replay.burn_in is 4; it must be less than replay.length=4"),
        ({"length": 4, "burn_in": 5}, "replay.burn_in is 5; it must be less than replay.length=4"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        SequenceReplay(9, np.random.default_rng(0), **options)


def test_a_replay_without_room_for_a_sequence_of_each_environment_is_refused() -> None:
    case = Case(60, 2, 1, False, 1, 2, 1)
    replay = SequenceReplay(5, np.random.default_rng(0), length=3, burn_in=1)
    with pytest.raises(UsageError, match=r"capacity is 5; it must be at least replay.length \* num_envs=6"):
        replay.add(played(case, [["goes on", "goes on"]])[0])


def test_a_step_without_memory_is_refused() -> None:
    case = Case(60, 1, 1, False, 1, 2, 1)
    with pytest.raises(UsageError, match="replay=sequences is for agents with a recurrent memory"):
        case.replay().add(played(case, [["goes on"]])[0]._replace(memory=()))
