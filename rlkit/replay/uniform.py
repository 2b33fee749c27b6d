"""Experience replay (Lin, 1992) that stores every frame once, with n-step returns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from rlkit.core import tree
from rlkit.core.ranges import PositiveInt
from rlkit.core.resources import require_memory
from rlkit.core.stored_state import Segment
from rlkit.core.types import Array, Batch, FromRun, State, Transition, Tree, UsageError, require_least
from rlkit.replay.frames import Frames, allocate, announce, bytes_of, check_location, frame_count
from rlkit.replay.leaf_stacks import Stacks
from rlkit.replay.rows import FIELDS, LAST, NO_ROWS, NONE, Layout, TransitionRing, columns, layout
from rlkit.replay.stored import require_rows, require_state

OLDEST, NEWEST = np.s_[:, 0], np.s_[:, -1]
"""The oldest and the newest frame of each of the stacks [K, S, ...]."""

SEGMENT = 2_000
"""Frames, or transitions, in one file of a checkpoint: full files are linked, so only new data is written."""

LARGE_SAMPLE = 10_000
"""Transitions of a sample from which its memory is looked at."""

PENDING = 2048
"""Transitions that are entered together: the work per call would otherwise dominate."""


class UniformReplay:
    """The newest transitions, sampled uniformly with replacement.

    A transition's observation and successor are put together from frames when it is sampled. The successor of one
    observation is the next observation, and a stack of S frames shares all but one with the stack before it, so each
    step adds one frame: Atari's 4x84x84 bytes cost 7,056 per step. Nothing is assumed about a stack at the beginning of
    an episode, nor about which row follows which: if an observation is not the successor in the environment's last row,
    all its frames are stored. Memory is allocated at the first `add`, by the shapes and dtypes of the transitions. If
    observations are trees, each leaf has its own frames, and of one that stacks them each is stored once.
    """

    prioritized = False

    def __init__(
        self,
        capacity: PositiveInt,
        rng: FromRun[np.random.Generator],
        *,
        n_step: PositiveInt = 1,
        frame_stack: Tree = 1,
        location: str = "memory",
        compress: bool = False,
        device: str = "cpu",
        scratch: Path | None = None,
        num_envs: int = 1,
        observation_space: Any = None,
        notify: Callable[[str], None] = lambda line: None,
        learns: bool = True,
    ):
        """Store up to `capacity` transitions.

        Args:
            capacity: number of transitions; with short episodes of large frames the oldest are dropped a little early
                (`frame_count`).
            rng: draws the samples.
            n_step: number of steps whose rewards are added up; 1 for one-step targets.
            frame_stack: number of frames stacked along the first axis of an observation; 1: none are. A tree: those of
                each leaf.
            location: of the frames, one of `LOCATIONS`.
            compress: deflate the segments of checkpoints: lossless, slower, and a tenth of the bytes for Atari.
            device: of the agent.
            scratch: folder for ``location=disk``.
            num_envs: N.
            observation_space: of one environment; if given, memory is checked and reported before it is allocated.
            notify: called with the line that reports it.
            learns: False if the agent only acts: nothing will be added, so no memory is needed.

        Raises:
            UsageError: an unknown location, too little memory, or `n_step` below 1.
        """
        require_least(1, "replay", n_step=n_step)
        self._rows = TransitionRing(capacity)
        self._rng = rng
        self._n_step = n_step
        self._stacks = None if isinstance(frame_stack, int) else Stacks(frame_stack)
        self._stack: int = frame_stack if self._stacks is None else self._stacks.longest
        stack = self._stack
        # Indices of the observation and the successor in the frames [B, S + 1, ...] of a transition.
        self._parts = (OLDEST, NEWEST) if stack == 1 else (np.s_[:, :stack], np.s_[:, -stack:])
        self._place = (check_location(location), device, scratch)
        self._compress = compress
        self._frames: Frames | None = None
        self._shown = 0  # number of frames ever stored
        self._first = 0  # number of the oldest complete row
        self._pending = tuple(map(bytearray, NO_ROWS))  # `PENDING_COLUMNS` of rows that were added but not entered yet
        self._layout: Layout = []  # of those columns
        self._limit = capacity  # rows that they may hold
        self._current = np.empty((0, stack), np.int64)  # [N, S] numbers of the current frames of each environment
        self._tail = np.empty(0, np.int64)  # [N] number of each environment's newest row
        self._broken = np.empty(0, bool)  # [N] the next row does not follow that one
        self._composed = False  # actions are trees
        self._reached: Tree | None = None  # the last successors added, to recognize them as observations
        if observation_space is not None and learns:
            size = frame_count(capacity, stack, num_envs, bytes_of(observation_space, frame_stack))
            announce(capacity, size * bytes_of(observation_space, frame_stack), 0, *self._place, notify)

    def __len__(self) -> int:
        """Return the number of transitions that can be sampled."""
        total = self._rows.total + len(self._pending[LAST])
        return total - self._whole(total)

    @property
    def n_step(self) -> int:
        """The number of steps whose rewards are added up."""
        return self._n_step

    @property
    def _waiting(self) -> int:
        """The number of rows that were added but not entered yet."""
        return len(self._pending[LAST])

    def add(self, transition: Transition) -> None:
        """Store the valid rows of a transition [N, ...].

        Raises:
            UsageError: at the first call, if there is not enough memory, or fewer rows than environments.
        """
        observation, action, reward, discount, successor, last, valid, _, legal, *_ = transition
        # A list: for a few environments NumPy would take longer.
        if observation is not self._reached or False in valid.tolist():
            self._add_irregular(transition)
            return
        assert self._frames is not None
        if self._stack > 1:
            many = self._stacks is None
            self._frames.put(self._shown, self._frames.part(successor, NEWEST) if many else self._newest(successor))
        else:
            self._frames.put(self._shown, successor)
        self._shown += len(last)
        actions, rewards, discounts, lasts, masks = self._pending
        actions += (tree.pack(action) if self._composed else action).tobytes()
        rewards += reward.tobytes()
        discounts += discount.tobytes()
        lasts += last.tobytes()
        if legal is not None:
            masks += legal.tobytes()
        self._reached = successor
        if len(lasts) >= self._limit:
            self._enter()

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        """Draw `batch_size` transitions with replacement; all weights are one.

        Args:
            batch_size: B.
            gamma: the agent's discount factor, needed for rewards of several steps.

        Raises:
            UsageError: `n_step` is more than 1, and no gamma is given.
        """
        self._enter()
        if batch_size >= LARGE_SAMPLE:
            self._require_room(batch_size)
        numbers = self._first + self._rng.integers(self._rows.total - self._first, size=batch_size)
        return self._batch(numbers, np.ones(batch_size, np.float32), gamma)

    def _require_room(self, batch_size: int) -> None:
        """Refuse a sample for which there is no memory."""
        assert self._frames is not None
        each = 64 + 2 * self._stack * tree.nbytes(self._frames.read(np.zeros(1, np.int64)))
        what = f"a sample of {batch_size:,} transitions"
        require_memory(each * batch_size, what, "set agent.batch_size or agent.gradient_steps lower")

    def everything(self, gamma: float | None = None) -> Batch:
        """Return each stored transition once, the oldest first, as NumPy arrays; all weights are one.

        `gamma` and errors as in `sample`.
        """
        entered = self._with_all_entered()
        numbers = np.arange(entered._first, entered._rows.total)
        assert entered._frames is not None
        return entered._batch(numbers, np.ones(len(numbers), np.float32), gamma, entered._frames.read)

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Do nothing with `index` [B] and `td_error` [B]: every transition is equally likely."""

    def _batch(
        self, numbers: Array, weight: Array, gamma: float | None, take: Callable[[Array], Any] | None = None
    ) -> Batch:
        if gamma is None and self._n_step > 1:
            raise UsageError(f"replay.n_step is {self._n_step}; more than 1 needs a gamma: pass the agent's to sample")
        slots = numbers % self._rows.capacity
        reward, discount, end = self._rows.walk(slots, self._n_step, 1.0 if gamma is None else gamma)
        assert self._frames is not None
        observation, successor = self._observations(self._rows.take("window", slots), end, take or self._frames.take)
        action = self._rows.take("action", slots)
        return Batch(
            observation=observation,
            action=tree.unpack(action) if self._composed else action,
            reward=reward,
            discount=discount,
            next_observation=successor,
            next_legal_actions=self._rows.take("next_legal_actions", end),
            weight=weight,
            index=numbers,
        )

    def _observations(self, window: Array, end: Array, take: Callable[[Array], Any]) -> tuple[Any, Any]:
        """Return observations and successors [B, ...]; where they share frames, as views of one array."""
        if self._n_step > 1:
            window = np.concatenate([window[:, :-1], self._rows.take("window", end)[:, 1:]], axis=1)
        frames = take(window)
        assert self._frames is not None
        if self._stacks is not None:
            return self._stacks.split(frames)
        return self._frames.part(frames, self._parts[0]), self._frames.part(frames, self._parts[1])

    def _fields(self, transition: Transition) -> dict[str, Array]:
        values = {name: getattr(transition, name) for name in FIELDS}
        values["action"] = tree.pack(transition.action)
        return {name: value for name, value in values.items() if value is not None}

    def _newest(self, observation: Tree) -> Tree:
        if self._stacks is not None:
            return self._stacks.newest(observation)
        return observation if self._stack == 1 else tree.take(observation, NEWEST)

    def _begin(self, transition: Transition) -> None:
        n = len(transition.valid)
        if n > self._rows.capacity:
            raise UsageError(f"replay.capacity is {self._rows.capacity}; it must be at least num_envs={n}")
        frame = tree.map(lambda leaf: np.asarray(leaf[0]), self._newest(transition.next_observation))
        size = frame_count(self._rows.capacity, self._stack, n, tree.nbytes(frame))
        rows = self._row_bytes(transition) * self._rows.capacity
        announce(self._rows.capacity, size * tree.nbytes(frame), rows, *self._place, lambda line: None)
        self._frames = allocate(size, frame, *self._place)
        self._limit = _pending_rows(self._rows.capacity, n)
        self._current = np.full((n, self._stack), NONE, np.int64)
        self._tail = np.full(n, NONE, np.int64)
        self._broken = np.ones(n, bool)
        self._layout = layout({**self._fields(transition), "last": transition.last})
        self._composed = isinstance(transition.action, dict | tuple)

    def _row_bytes(self, transition: Transition) -> int:
        return sum(value[:1].nbytes for value in self._fields(transition).values()) + 4 * (self._stack + 1) + 17

    def _enter(self) -> None:
        """Make rows of the pending transitions, each of which continues the one before in every environment."""
        if not self._pending[LAST]:
            return
        added = columns(self._pending, self._layout)
        last, n = added.pop("last"), len(self._tail)
        steps = len(last) // n
        new = np.arange(steps * n)
        track = np.concatenate([self._current.T, (self._shown - steps * n + new).reshape(steps, n)])
        spans = np.arange(steps)[:, None] + np.arange(self._stack + 1)
        window = track[:, 0][spans] if n == 1 else track[spans].swapaxes(1, 2).reshape(steps * n, -1)
        self._pending = tuple(map(bytearray, NO_ROWS))
        self._current = track[steps:].T
        follows = ~np.concatenate([self._broken, last[:-n]])
        new += self._rows.total
        before = np.concatenate([self._tail, new[:-n]])
        self._add_rows(added, window, (new - new[0]).astype(np.int32) % n, follows)
        self._rows.link(before[follows], new[follows])
        self._tail = new[-n:]
        self._broken = last[-n:]

    def _add_irregular(self, transition: Transition) -> None:
        """Enter a transition in which some environment was reset, began again, or had an unexpected observation."""
        if self._frames is None:
            self._begin(transition)
        self._enter()
        # After a skipped row, the observation of its environment is not known here.
        self._reached = transition.next_observation if transition.valid.all() else None
        rows = np.flatnonzero(transition.valid)
        known = rows[self._shows(rows, tree.take(transition.observation, rows))]
        for i in np.setdiff1d(rows, known):
            self._show(int(i), tree.take(transition.observation, i if self._stack > 1 else slice(i, i + 1)))
        assert self._frames is not None
        numbers = self._shown + np.arange(len(rows))
        self._frames.put(self._shown, tree.take(self._newest(transition.next_observation), rows))
        self._shown += len(rows)
        window = np.concatenate([self._current[rows], numbers[:, None]], axis=1)
        self._current[rows] = window[:, 1:]
        follows = np.isin(rows, known) & ~self._broken[rows]
        added = {name: value[rows] for name, value in self._fields(transition).items()}
        new = self._rows.total + np.arange(len(rows))
        if len(rows):
            self._add_rows(added, window, rows.astype(np.int32), follows)
            self._rows.link(self._tail[rows][follows], new[follows])
        self._tail[rows] = new
        self._broken = np.where(transition.valid, transition.last, self._broken)

    def _shows(self, rows: Array, observation: Tree) -> Array:
        """Return [K] bool: whether the last frames of the environments `rows` [K] are this `observation` [K, ...]."""
        assert self._frames is not None
        current = self._current[rows]
        same: Array = current.min(axis=1) >= max(0, self._shown - self._frames.size)
        shown = self._frames.read(current % self._frames.size)
        shown = shown if self._stacks is None else self._stacks.own(shown)
        for of_leaf in tree.leaves(tree.map_many(_same_rows, shown, observation)):
            same &= of_leaf
        return same

    def _show(self, env: int, frames: Tree) -> None:
        """Store the first frames [S, ...] of an episode; equal neighbors, as in a padded stack, are stored once."""
        assert self._frames is not None
        frames = frames if self._stacks is None else self._stacks.filled(frames)
        each = [tree.take(frames, i) for i in range(self._stack)]
        new = np.array([True, *(not tree.equal(*pair) for pair in pairwise(each))])
        self._frames.put(self._shown, tree.take(frames, new))
        self._current[env] = self._shown + np.cumsum(new) - 1
        self._shown += int(new.sum())

    def _add_rows(self, added: dict[str, Array], window: Array, env: Array, follows: Array) -> None:
        assert self._frames is not None
        places = (window % self._frames.size).astype(np.int32)
        slots = self._rows.add(
            {**added, "window": places, "oldest": window.min(axis=1), "env": env, "follows": follows}
        )
        oldest = max(self._first, self._rows.total - self._rows.capacity)
        self._entered(slots, oldest, self._whole(self._rows.total))

    def _whole(self, total: int) -> int:
        """Return the number of the oldest of `total` rows whose slot and frames are not overwritten."""
        first = max(self._first, total - self._rows.capacity)
        lost = 0 if self._frames is None else self._shown - self._frames.size
        # Pending rows have the newest frames, which are always stored.
        block = max(PENDING, len(self._tail) * (self._stack + 2))
        return self._rows.first_with(lost, first, block) if lost > 0 else first

    def _entered(self, slots: Array, oldest: int, whole: int) -> None:
        """Record new rows in `slots`, and that rows before number `whole` are dropped.

        Those from number `oldest` on are still in their slots.
        """
        self._first = whole

    def state_dict(self) -> State:
        """Return the contents in segments, the current frames of each environment, and the generator."""
        return self._with_all_entered()._entered_state()

    def _with_all_entered(self) -> Self:
        """Return this replay if no row is pending, else a copy, which shares the frames, with all rows entered."""
        if not self._waiting:
            return self
        other = self._copied()
        other._enter()
        return other

    def _copied(self) -> Self:
        other = copy.copy(self)
        other._rows = self._rows.copied()
        return other

    def _entered_state(self) -> State:
        return {
            "total": self._rows.total,
            "first": self._first,
            "shown": self._shown,
            "current": self._current.copy(),
            "tail": self._tail.copy(),
            "broken": self._broken.copy(),
            "rng": self._rng.bit_generator.state,
            "rows": self._segments("rows", self._first, self._rows.total, self._read_rows),
            "frames": self._segments("frames", self._oldest_frame(), self._shown, self._read_frames),
        }

    def _oldest_frame(self) -> int:
        shown = [self._current[self._current != NONE]]
        if self._rows.arrays:
            block = np.arange(self._first, self._rows.total) % self._rows.capacity
            shown.append(self._rows.arrays["oldest"][block])
        return int(min((part.min() for part in shown if part.size), default=self._shown))

    def _segments(
        self, name: str, start: int, stop: int, read: Callable[[int, int], dict[str, Array]]
    ) -> list[Segment]:
        bounds = range(start - start % SEGMENT, stop, SEGMENT)
        spans = [(max(low, start), min(low + SEGMENT, stop)) for low in bounds]
        return [Segment(f"replay-{name}-{low}-{high}", partial(read, low, high), self._compress) for low, high in spans]

    def _read_rows(self, low: int, high: int) -> dict[str, Array]:
        slots = np.arange(low, high) % self._rows.capacity
        return {name: array[slots] for name, array in self._rows.arrays.items() if name != "successor"}

    def _read_frames(self, low: int, high: int) -> dict[str, Array]:
        assert self._frames is not None
        return {"frames": tree.pack(self._frames.read(np.arange(low, high) % self._frames.size))}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`.

        Raises:
            ValueError: it is none of a replay of this capacity.
        """
        require_state(state, self._rows.capacity, self._stack)
        self._pending = tuple(map(bytearray, NO_ROWS))
        self._reached = None
        self._rng.bit_generator.state = state["rng"]
        self._current = np.array(state["current"])
        self._tail = np.array(state["tail"])
        self._broken = np.array(state["broken"])
        self._rows = TransitionRing(self._rows.capacity)
        self._frames = None
        self._limit = _pending_rows(self._rows.capacity, len(self._tail))
        for segment in state["frames"]:
            self._put_frames(int(segment.name.split("-")[2]), tree.unpack(segment.read()["frames"]))
        for segment in state["rows"]:
            rows = require_rows(segment.read(), segment.name)
            self._rows.total = int(segment.name.split("-")[2])
            self._rows.add(rows)
            self._layout = layout({**rows, "last": rows["follows"]})
            self._composed = rows["action"].dtype.names is not None
        self._first = state["first"]
        self._shown = state["shown"]
        self._rows.total = state["total"]
        if self._rows.arrays:
            self._rows.relink(self._first)

    def _put_frames(self, first: int, frames: Tree) -> None:
        if self._frames is None:
            frame = tree.map(lambda leaf: np.asarray(leaf[0]), frames)
            size = frame_count(self._rows.capacity, self._stack, len(self._tail), tree.nbytes(frame))
            self._frames = allocate(size, frame, *self._place)
        self._frames.put(first, frames)


def _pending_rows(capacity: int, num_envs: int) -> int:
    """Return how many rows may be pending: whole steps of all environments, and at most `capacity`."""
    return min(PENDING, capacity) // max(1, num_envs) * num_envs


def _same_rows(shown: Array, observation: Array) -> Array:
    """Return [K] bool: whether rows of frames [K, S, ...] equal those of an observation [K, ...]."""
    same = shown == observation.reshape(shown.shape)
    return np.asarray(same.all(axis=tuple(range(1, same.ndim))))
