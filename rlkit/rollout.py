"""Storage for agents that learn from what they have just done: rollouts of equal length, and whole episodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlkit.core import Array, State

Rows = Mapping[str, Array]
"""Named columns of one step, [N, ...] each."""


class Rollout:
    """The last steps of N environments, time first; its memory is allocated by the first step, and used again.

    Attributes:
        columns: name -> [T, N, ...].
    """

    def __init__(self, length: int):
        """Make room for `length` steps, T."""
        self._length, self._steps = length, 0
        self.columns: dict[str, Array] = {}

    @property
    def full(self) -> bool:
        """Tell whether T steps were added since it was cleared."""
        return self._steps == self._length

    @property
    def empty(self) -> bool:
        """Tell whether none was."""
        return self._steps == 0

    def add(self, rows: Rows, valid: Array) -> None:
        """Store a step, its rows that are not `valid` [N] as zeros; the first one's names, shapes and dtypes hold."""
        if not self.columns:
            self.columns = {name: np.empty((self._length, *row.shape), row.dtype) for name, row in rows.items()}
        whole = valid.all()
        for name, column in self.columns.items():
            column[self._steps] = rows[name]
            if not whole:
                column[self._steps, ~valid] = 0
        self._steps += 1

    def clear(self) -> None:
        """Begin again."""
        self._steps = 0

    def state_dict(self) -> State:
        """Return what was added."""
        added = {} if self.empty else self.columns
        return {"columns": {name: column[: self._steps].copy() for name, column in added.items()}}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._steps = 0
        for row in zip(*state["columns"].values(), strict=True):
            self.add(dict(zip(state["columns"], row, strict=True)), np.ones(len(row[0]), bool))


class EpisodeStore:
    """Whole episodes of N environments, one behind the other for each; it grows where they are long.

    Attributes:
        finished: episodes that have ended, since they were last taken.
    """

    def __init__(self, num_envs: int):
        """Begin with nothing, for N environments."""
        self._columns: dict[str, Array] = {}
        self._lengths, self._ended = np.zeros(num_envs, np.int64), np.zeros(num_envs, np.int64)
        self.finished = 0

    def add(self, rows: Rows, valid: Array, last: Array) -> None:
        """Store the valid rows of a step; `last` [N] ends the episode of each."""
        places = self._lengths[valid]
        self._make_room(rows, int(places.max(initial=0)) + 1)
        where = places, np.flatnonzero(valid)
        for name, column in self._columns.items():
            column[where] = rows[name][valid]
        self._lengths += valid
        ending = valid & last
        self._ended[ending] = self._lengths[ending]
        self.finished += int(np.count_nonzero(ending))

    def take(self) -> list[dict[str, Array]]:
        """Return the columns [T, ...] of each environment's ended episodes, in order, and keep those under way."""
        taken = [
            {name: column[: self._ended[i], i].copy() for name, column in self._columns.items()}
            for i in np.flatnonzero(self._ended)
        ]
        for i in np.flatnonzero(self._ended):
            rest = slice(self._ended[i], self._lengths[i])
            for column in self._columns.values():
                column[: rest.stop - rest.start, i] = column[rest, i].copy()
        self._lengths -= self._ended
        self._ended[:] = 0
        self.finished = 0
        return taken

    def _make_room(self, rows: Rows, length: int) -> None:
        if not self._columns:
            self._columns = {name: np.empty((64, *row.shape), row.dtype) for name, row in rows.items()}
        for name, column in self._columns.items():
            if (room := len(column)) < length:
                more = np.empty((max(room, length), *column.shape[1:]), column.dtype)
                self._columns[name] = np.concatenate([column, more])

    def state_dict(self) -> State:
        """Return what is stored."""
        longest = int(self._lengths.max(initial=0))
        return {
            "columns": {name: column[:longest].copy() for name, column in self._columns.items()},
            "lengths": self._lengths.copy(),
            "ended": self._ended.copy(),
            "finished": self.finished,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._columns = {name: np.array(column) for name, column in state["columns"].items()}
        self._lengths, self._ended = np.array(state["lengths"]), np.array(state["ended"])
        self.finished = state["finished"]
