"""What replays of searches share: a ring of rows, and the episodes under way, whose rows wait until they are over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.core.types import Array, State


class EpisodeRing:
    """The last rows of whole episodes."""

    def __init__(self, capacity: int):
        """Start empty, with room for so many rows."""
        self._capacity = capacity
        self._columns: list[Array] = []
        self._next = 0
        self._episodes: list[list[tuple[Any, ...]]] = []

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return min(self._next, self._capacity)

    def _store(self, row: Sequence[Any]) -> None:
        if not self._columns:
            self._columns = [np.zeros((self._capacity, *np.shape(item)), np.asarray(item).dtype) for item in row]
        place = self._next % self._capacity
        for column, item in zip(self._columns, row, strict=True):
            column[place] = item
        self._next += 1

    def state_dict(self) -> State:
        """Return the rows, and the episodes under way."""
        episodes = [[list(row) for row in episode] for episode in self._episodes]
        columns = [column[: len(self)].copy() for column in self._columns]
        return {"columns": columns, "next": self._next, "episodes": episodes}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._next, self._columns = state["next"], []
        for saved in state["columns"]:
            self._columns.append(np.zeros((self._capacity, *saved.shape[1:]), saved.dtype))
            self._columns[-1][: len(saved)] = saved
        self._episodes = [[tuple(np.asarray(item) for item in row) for row in one] for one in state["episodes"]]
