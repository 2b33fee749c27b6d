"""A replay of what a model imagined: independent transitions, the newest of them."""

from __future__ import annotations

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, Batch, State


class ImaginedReplay:
    """The newest rows of observations, actions, rewards, discounts and successors, sampled uniformly."""

    def __init__(self, capacity: int, rng: np.random.Generator):
        """Start empty; memory is allocated by the first rows."""
        self._capacity, self._rng = capacity, rng
        self._columns: list[Array] = []
        self._next = 0

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return min(self._next, self._capacity)

    def add(self, *columns: Array) -> None:
        """Add rows: observations [B, D], actions [B, A], rewards [B], discounts [B] and successors [B, D], float32."""
        if not self._columns:
            size = self._capacity * sum(4 * int(np.prod(column.shape[1:])) for column in columns)
            require_memory(size, f"{self._capacity:,} imagined transitions", "set agent.imagined lower")
            self._columns = [np.zeros((self._capacity, *column.shape[1:]), np.float32) for column in columns]
        newest = [column[-self._capacity :] for column in columns]
        count = len(newest[0])
        places = (self._next + np.arange(count)) % self._capacity
        for column, rows in zip(self._columns, newest, strict=True):
            column[places] = rows
        self._next += count

    def sample(self, batch_size: int) -> Batch:
        """Draw rows with replacement."""
        rows = self._rng.integers(0, len(self), batch_size)
        observation, action, reward, discount, successor = (column[rows] for column in self._columns)
        ones = np.ones(batch_size, np.float32)
        return Batch(observation, action, reward, discount, successor, None, ones, rows)

    def state_dict(self) -> State:
        """Return the rows and the generator."""
        columns = [column[: len(self)].copy() for column in self._columns]
        return {"columns": columns, "next": self._next, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._next, self._columns = state["next"], []
        self._rng.bit_generator.state = state["rng"]
        for saved in state["columns"]:
            self._columns.append(np.zeros((self._capacity, *saved.shape[1:]), np.float32))
            self._columns[-1][: len(saved)] = saved
