"""The contract of a replay: `rlkit.core.types.Replay` for transitions of one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, Batch, Replay, StepInfo, Transition
from rlkit.testing.from_run import with_run_values
from rlkit.testing.rules import (
    OnResult,
    Result,
    conclude,
    examine,
    freeze,
    global_generators,
    moved_generators,
    require,
    require_equal,
    silent,
    survived,
)

MakeReplay = Callable[[int, np.random.Generator], Replay]
"""Builds an empty replay of a capacity, which draws from the generator."""

CAPACITY, ENVIRONMENTS, ACTIONS, BATCH = 60, 3, 4, 32
RUN = {
    "num_envs": ENVIRONMENTS,
    "frame_stack": 1,
    "device": "cpu",
    "scratch": None,
    "observation_space": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "action_space": spaces.Discrete(ACTIONS),
    "notify": lambda line: None,
    "learns": True,
    "fresh": True,
    "total_steps": 1000,
    "threads": 1,
}
EPISODES = (7, 5, 11)  # lengths in each environment: they end apart from each other


def check_replay(make: MakeReplay, *, seed: int = 0, strict: bool = True, on_result: OnResult = silent) -> list[Result]:
    """Check that a replay keeps rlkit's contract; ``check_replay(UniformReplay)`` is a whole test.

    Args:
        make: builds an empty replay of a capacity; its samples are drawn from the generator that it gets. What else
            its signature marks as the run's (`rlkit.core.types.FromRun`) it gets, too.
        seed: of the transitions and of the generator.
        strict: raise where a rule is broken; else it is for the caller to read the results.
        on_result: called with each result as soon as it is there.

    Raises:
        ContractError: a rule is broken: one line for each, with the values and the remedy.
    """
    case = ReplayCase(with_run_values(make, RUN), seed)
    return conclude(examine(case, (stores_and_samples,), RULES, on_result), strict=strict)


class Row(NamedTuple):
    """What a transition that was added must look like when it is sampled."""

    number: int  # of its kind, counted in the order in which rows are added
    truncated: bool
    next_observation: Array
    fields: tuple[float, ...]  # action, reward, discount


@dataclass
class ReplayCase:
    """A replay under examination."""

    make: MakeReplay
    seed: int

    def filled(self, steps: int, *, masks: bool = False, generator: int = 0) -> tuple[Replay, dict[float, Row]]:
        """Return a replay to which so many steps were added, and what was added, by its number."""
        replay = self.make(CAPACITY, np.random.default_rng(self.seed + generator))
        book: dict[float, Row] = {}
        for transition in transitions(steps, self.seed, masks=masks):
            replay.add(transition)
            book.update(rows(transition))
        return replay, book


def transitions(steps: int, seed: int, *, start: int = 0, masks: bool = False) -> Iterator[Transition]:
    """Yield transitions of three environments; each row's observation is its number, every tenth row is invalid."""
    rng = np.random.default_rng(seed)
    for step in range(start + steps):
        valid = rng.random(ENVIRONMENTS) >= 0.1
        draws = rng.integers(ACTIONS, size=ENVIRONMENTS), rng.normal(size=ENVIRONMENTS)
        legal = rng.random((ENVIRONMENTS, ACTIONS)) < 0.5 if masks else None
        if step >= start:
            yield _transition(step, valid, draws, legal)


def _transition(step: int, valid: Array, draws: tuple[Array, Array], legal: Array | None) -> Transition:
    who = step * ENVIRONMENTS + np.arange(ENVIRONMENTS)
    last = np.array([(step + 1) % length == 0 for length in EPISODES])
    terminated = last & (step // np.array(EPISODES) % 2 == 0)
    # A successor at an end is nobody's observation: the next row's is another episode's.
    successor = np.where(last, who + 0.5, who + ENVIRONMENTS)
    return Transition(
        observation=_observation(who),
        action=draws[0],
        reward=draws[1].astype(np.float32),
        discount=1 - terminated.astype(np.float32),
        next_observation=_observation(successor),
        last=last,
        valid=valid,
        legal_actions=legal,
        next_legal_actions=legal,
        info=StepInfo(draws[1], last, np.zeros(ENVIRONMENTS, bool)),
    )


def _observation(who: Array) -> Array:
    return np.stack([who, -who], axis=1).astype(np.float32)


def rows(transition: Transition) -> dict[float, Row]:
    """Return the valid rows of a transition, by the number in their observation."""
    found = {}
    for i in np.flatnonzero(transition.valid):
        fields = tuple(float(array[i]) for array in (transition.action, transition.reward, transition.discount))
        who = float(transition.observation[i, 0])
        truncated = bool(transition.last[i] and transition.discount[i] == 1)
        found[who] = Row(int(who), truncated, transition.next_observation[i], fields)
    return found


def _samples(replay: Replay, draws: int = 60) -> Iterator[Batch]:
    for _ in range(draws):
        yield replay.sample(BATCH)


def stores_and_samples(case: ReplayCase) -> None:
    """Transitions can be added and sampled; a batch has as many rows as were asked for."""
    replay, _ = case.filled(5)
    for name, value in replay.sample(BATCH)._asdict().items():
        if value is not None:
            require(len(value) == BATCH, f"sample({BATCH}) returned {len(value)} rows of {name}")


def length_counts_valid_rows(case: ReplayCase) -> None:
    """`len` is the number of valid rows added, up to the capacity."""
    for steps in (0, 1, 10, 40):
        replay, book = case.filled(steps)
        expected = min(len(book), CAPACITY)
        require(
            len(replay) == expected,
            f"after {len(book)} valid rows its length is {len(replay)}; with a capacity of {CAPACITY} it is {expected}",
        )


def samples_were_stored(case: ReplayCase) -> None:
    """Only the newest valid rows are sampled, and each of them can be."""
    for steps in (10, 47):
        replay, book = case.filled(steps)
        newest = set(sorted(book)[-CAPACITY:])
        seen = {float(who) for batch in _samples(replay) for who in batch.observation[:, 0]}
        strangers, missing = sorted(seen - newest), sorted(newest - seen)
        require(not strangers, f"sampled rows {strangers[:5]}, which are invalid, forgotten or were never added")
        require(not missing, f"never sampled rows {missing[:5]} of {len(newest)} in {60 * BATCH} draws")


def rows_belong_together(case: ReplayCase) -> None:
    """Action, reward, discount and successor of a sampled row are those that came with its observation."""
    replay, book = case.filled(47)
    for batch in _samples(replay):
        for i, who in enumerate(batch.observation[:, 0]):
            row = _row(book, who)
            got = tuple(float(array[i]) for array in (batch.action, batch.reward, batch.discount))
            require(got == row.fields, f"row {row.number} has action, reward, discount {got}, not {row.fields}")
            if not row.truncated:
                _require_successor(batch, i, row)


def truncation_keeps_its_successor(case: ReplayCase) -> None:
    """Where an episode was truncated, the successor is the state reached, not the next episode's first."""
    replay, book = case.filled(47)
    for batch in _samples(replay):
        for i, who in enumerate(batch.observation[:, 0]):
            row = _row(book, who)
            if row.truncated:
                _require_successor(batch, i, row)


def _row(book: dict[float, Row], who: float) -> Row:
    require(float(who) in book, f"sampled row {float(who):g}, which is invalid or was never added")
    return book[float(who)]


def _require_successor(batch: Batch, i: int, row: Row) -> None:
    require_equal(
        row.next_observation,
        np.asarray(batch.next_observation[i]),
        f"row {row.number} came back with another successor than it was added with",
    )


def legal_actions_are_kept(case: ReplayCase) -> None:
    """`next_legal_actions` come back with their rows, and are None where there were none."""
    replay, _ = case.filled(20)
    found = replay.sample(BATCH).next_legal_actions
    require(found is None, "a batch has next_legal_actions though no transition had them; it must be None")
    replay, _ = case.filled(20, masks=True)
    masks = {
        float(transition.observation[i, 0]): transition.next_legal_actions[i]  # type: ignore[index]
        for transition in transitions(20, case.seed, masks=True)
        for i in range(ENVIRONMENTS)
    }
    for batch in _samples(replay, 5):
        require(batch.next_legal_actions is not None, "a batch has no next_legal_actions though every transition had")
        expected = np.stack([masks[float(who)] for who in batch.observation[:, 0]])
        require_equal(expected, batch.next_legal_actions, "next_legal_actions are another row's")


def batches_have_weights_and_index(case: ReplayCase) -> None:
    """Every batch has weights [B] float32, positive and finite, an index [B] of integers, and the dtypes added."""
    replay, _ = case.filled(30)
    batch, added = replay.sample(BATCH), next(transitions(1, case.seed))
    weight, index = np.asarray(batch.weight), np.asarray(batch.index)
    require(
        weight.dtype == np.float32 and weight.shape == (BATCH,) and bool((np.isfinite(weight) & (weight > 0)).all()),
        f"weights are {weight.dtype} {list(weight.shape)}, {weight[:3]}…; they are [{BATCH}] float32, "
        "positive and finite, and ones where sampling is uniform",
    )
    require(index.dtype.kind in "iu" and index.shape == (BATCH,), f"index is {index.dtype} {list(index.shape)}")
    for name in ("observation", "action", "reward", "discount", "next_observation"):
        kinds = [str(getattr(source, name).dtype) for source in (batch, added)]
        require(kinds[0] == kinds[1], f"{name} comes back as {kinds[0]}; it was added as {kinds[1]}")


def samples_are_copies(case: ReplayCase) -> None:
    """Writing to a batch, or to a transition after it was added, does not change what is stored."""
    replay = case.make(CAPACITY, np.random.default_rng(case.seed))
    for transition in transitions(20, case.seed):
        mine = freeze(transition)
        replay.add(mine)
        for array in (mine.observation, mine.reward, mine.next_observation):
            array[:] = 1e6
    replay.sample(BATCH).reward[:] = 1e6
    highest = max(float(batch.reward.max()) for batch in _samples(replay))
    require(highest < 1e6, "writing to a batch, or to a transition after add, changed the replay; keep copies")


def sampling_follows_its_generator(case: ReplayCase) -> None:
    """Two replays with the same contents and generator sample the same batches; neither draws from a global one."""
    (first, _), (second, _) = case.filled(30), case.filled(30)
    before = global_generators()
    expected, got = (list(_samples(replay, 5)) for replay in (first, second))
    moved = moved_generators(before)
    require(not moved, f"sample moved the process-wide generator of {', '.join(moved)}; draw from its own")
    require_equal(expected, got, "two replays with the same contents and generator sample differently")


def priorities_are_taken(case: ReplayCase) -> None:
    """`update_priorities` accepts the index of a batch, and sampling goes on."""
    replay, book = case.filled(30)
    for batch in _samples(replay, 5):
        replay.update_priorities(batch.index, np.linspace(-2, 2, BATCH, dtype=np.float32))
    batch = replay.sample(BATCH)
    require(bool(np.isfinite(batch.weight).all()), f"after update_priorities weights are {batch.weight[:3]}…")
    require({float(who) for who in batch.observation[:, 0]} <= set(book), "after update_priorities rows are unknown")


def state_round_trips(case: ReplayCase) -> None:
    """A new replay that restores the state from a checkpoint samples and stores on as the first would have."""
    for steps in (0, 3, 18, 47):
        replay, _ = case.filled(steps)
        if steps:
            batch = replay.sample(BATCH)
            replay.update_priorities(batch.index, np.linspace(-2, 2, BATCH, dtype=np.float32))
        other, _ = case.filled(2, generator=1)
        with survived({"replay": replay.state_dict()}) as saved:
            other.load_state_dict(saved["replay"])
        require(len(other) == len(replay), f"restored with {len(replay)} rows, its length is {len(other)}")
        expected, got = (_go_on(one, case, steps) for one in (replay, other))
        require_equal(expected, got, f"restored with {len(replay)} rows, its samples differ: state_dict is incomplete")


def _go_on(replay: Replay, case: ReplayCase, steps: int) -> list[Batch]:
    batches = list(_samples(replay, 3)) if steps else []
    for transition in transitions(30, case.seed, start=steps):
        replay.add(transition)
        batches.append(replay.sample(BATCH))
        replay.update_priorities(batches[-1].index, np.linspace(-1, 3, BATCH, dtype=np.float32))
    return batches


RULES = (
    length_counts_valid_rows,
    samples_were_stored,
    rows_belong_together,
    truncation_keeps_its_successor,
    legal_actions_are_kept,
    batches_have_weights_and_index,
    samples_are_copies,
    sampling_follows_its_generator,
    priorities_are_taken,
    state_round_trips,
)
