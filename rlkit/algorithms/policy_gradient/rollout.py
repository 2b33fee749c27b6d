"""Storage for agents that learn from what they have just done: rollouts of equal length, and whole episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, State, Tree

Rows = Mapping[str, Tree]
"""Named columns of one step, arrays or trees of them, [N, ...] each."""


class Rollout:
    """The last steps of N environments, time first; its memory is allocated by the first step, and used again.

    Attributes:
        columns: name -> [T, N, ...].
    """

    def __init__(self, length: int):
        """Make room for `length` steps, T."""
        self._length, self._steps, self._plain = length, 0, True
        self.columns: dict[str, Tree] = {}

    @property
    def full(self) -> bool:
        """Whether T steps were added since it was cleared."""
        return self._steps == self._length

    @property
    def missing(self) -> int:
        """How many steps can be added before it is full."""
        return self._length - self._steps

    @property
    def empty(self) -> bool:
        """Whether no step was added since it was cleared."""
        return self._steps == 0

    def add(self, rows: Rows, valid: Array) -> None:
        """Store a step, its rows that are not `valid` [N] as zeros; the first one's names, shapes and dtypes hold."""
        if not self.columns:
            size = self._length * sum(map(tree.nbytes, rows.values()))
            what = f"a rollout of {self._length:,} steps of {len(valid):,} environments"
            require_memory(size, what, "set agent.n_steps or num_envs lower")
            self.columns = {name: tree.empty_like(row, self._length) for name, row in rows.items()}
            self._plain = _all_arrays(self.columns)
        if self._plain:
            for name, column in self.columns.items():
                column[self._steps] = rows[name]
        else:
            tree.put(self.columns, self._steps, rows)
        if not valid.all():
            tree.clear(self.columns, (self._steps, ~valid))
        self._steps += 1

    def clear(self) -> None:
        """Drop all steps."""
        self._steps = 0

    def state_dict(self) -> State:
        """Return what was added."""
        added = {} if self.empty else self.columns
        return {"columns": {name: tree.copy(tree.take(column, slice(self._steps))) for name, column in added.items()}}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._steps = 0
        columns = state["columns"]
        for step in range(tree.length(columns)) if columns else ():
            rows = tree.take(columns, step)
            self.add(rows, np.ones(tree.length(rows), bool))


def successor_values(rows: Mapping[str, Any], v_tm1: Array, end: Array) -> Array:
    """Return the values [T, N] of the true successors in a rollout.

    Args:
        rows: its columns; ``bootstrap_value`` [T, N] has the values where an episode was cut off, and 0 elsewhere, and
            ``last`` [T, N] bool says where episodes ended.
        v_tm1: [T, N] values of the states acted in.
        end: [N] values of the successors of the last step, 0 where an episode ended there.
    """
    v_t = rows["bootstrap_value"].copy()
    v_t[-1] += end
    v_t[:-1] += np.where(rows["last"][:-1], 0, v_tm1[1:])
    return v_t  # type: ignore[no-any-return]


class FirstBegun:
    """Numbers the first `count` episodes that N environments begin, in the order in which they begin.

    Which ones count is decided before their lengths are known: the first to end would be the short ones.

    Attributes:
        numbers: [N] int64, of each environment's episode; -1 where it does not count.
    """

    def __init__(self, num_envs: int, count: int):
        """Number the episodes that begin now; where there are more environments than `count`, those of the first."""
        self._count, self._next, self._begins = count, 0, np.ones(num_envs, bool)
        self.numbers = np.full(num_envs, -1)
        self._number(self._begins)

    def step(self, ended: Array, valid: Array, again: Array) -> None:
        """Count a step, after which the next episode begins where one has ended.

        Args:
            ended: [N] bool.
            valid: [N] bool; the other rows are no steps.
            again: [N] bool; an episode that ended does not count after all: the next one has its number.
        """
        self._begins = np.where(valid, ended, self._begins)
        self._number(valid & ended & ~(again & (self.numbers >= 0)))

    def clear(self) -> None:
        """Number from 0 again, beginning with the episodes that begin now; those under way do not count."""
        self.numbers[:], self._next = -1, 0
        self._number(self._begins)

    def _number(self, begins: Array) -> None:
        for i in np.flatnonzero(begins):
            left = self._next < self._count
            self.numbers[i] = self._next if left else -1
            self._next += left

    def state_dict(self) -> State:
        """Return the numbers, and which episodes begin now."""
        return {"numbers": self.numbers.copy(), "begins": self._begins.copy(), "next": self._next}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.numbers, self._begins = np.array(state["numbers"]), np.array(state["begins"])
        self._next = state["next"]


class EpisodeStore:
    """The first episodes that N environments begin, whole, to be taken in that order; it grows where they are long."""

    def __init__(self, num_envs: int, episodes: int):
        """Begin with nothing; the first `episodes` that N environments begin are stored, and no others."""
        require_memory(100 * episodes, f"a list of {episodes:,} episodes", "set {episodes} lower")
        self._episodes, self._begun = episodes, FirstBegun(num_envs, episodes)
        self._columns: dict[str, Tree] = {}
        self._plain = True
        self._lengths = np.zeros(num_envs, np.int64)
        self._ended: list[dict[str, Tree] | None] = [None] * episodes

    @property
    def empty(self) -> bool:
        """Whether all episodes were taken."""
        return not self._ended

    def ready(self, count: int) -> bool:
        """Return whether the next `count` episodes, or as many as are left, have ended."""
        return all(episode is not None for episode in self._ended[:count])

    def add(self, rows: Rows, valid: Array, last: Array) -> None:
        """Store the valid rows of a step whose episodes count; `last` [N] ends the episode of each."""
        stored = valid & (self._begun.numbers >= 0)
        places = self._lengths[stored]
        self._make_room(rows, int(places.max(initial=0)) + 1)
        where = places, np.flatnonzero(stored)
        for name, column in self._columns.items():
            if self._plain:
                column[where] = rows[name][stored]
            else:
                tree.put(column, where, tree.take(rows[name], stored))
        self._lengths += stored
        for i in np.flatnonzero(stored & last):
            self._end(int(i))
        self._begun.step(last, valid, np.zeros_like(last))

    def _end(self, i: int) -> None:
        # The list has lost those that were taken: an episode's place is counted from its end.
        place = self._begun.numbers[i] - self._episodes
        self._ended[place] = tree.copy(tree.take(self._columns, (slice(self._lengths[i]), i)))
        self._lengths[i] = 0

    def take(self, count: int) -> dict[str, Tree]:
        """Return the columns [T, ...] of episodes that are `ready`, one behind the other in the order they began in."""
        taken, self._ended = self._ended[:count], self._ended[count:]
        return {name: tree.concatenate([episode[name] for episode in taken if episode]) for name in self._columns}

    def clear(self) -> None:
        """Begin again with the episodes that begin now; nothing is kept of those under way."""
        self._begun.clear()
        self._lengths[:] = 0
        self._ended = [None] * self._episodes

    def _make_room(self, rows: Rows, length: int) -> None:
        if not self._columns:
            self._columns = {name: tree.empty_like(row, 64) for name, row in rows.items()}
            self._plain = _all_arrays(self._columns)
        if (room := tree.length(next(iter(self._columns.values())))) < length:
            steps = max(room, length)
            more = tree.map(lambda column: np.empty((steps, *column.shape[1:]), column.dtype), self._columns)
            self._columns = tree.concatenate([self._columns, more])

    def state_dict(self) -> State:
        """Return what is stored."""
        longest = int(self._lengths.max(initial=0))
        columns = {name: tree.copy(tree.take(column, slice(longest))) for name, column in self._columns.items()}
        # What lies behind an episode is of one before it, or was never written: a resumed run has something else.
        tree.clear(columns, np.arange(longest)[:, None] >= self._lengths)
        return {
            "columns": columns,
            "lengths": self._lengths.copy(),
            "ended": list(self._ended),
            "begun": self._begun.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._columns = tree.copy(state["columns"])
        self._plain = _all_arrays(self._columns)
        self._lengths, self._ended = np.array(state["lengths"]), list(state["ended"])
        self._begun.load_state_dict(state["begun"])


def _all_arrays(columns: Rows) -> bool:
    """Return whether no column is a tree, so that nothing need be done for trees."""
    return all(type(column) is np.ndarray for column in columns.values())
