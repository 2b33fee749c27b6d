"""Experience replay (Lin, 1992)."""

from __future__ import annotations

from functools import partial

import numpy as np

from rlkit.checkpoint import Segment
from rlkit.core import Array, Batch, State, Transition
from rlkit.resources import require_memory

SEGMENT = 10_000
"""Transitions in one file of a checkpoint: full ones are linked, so a checkpoint costs what is new."""

_FIELDS = ("observation", "action", "reward", "discount", "next_observation", "next_legal_actions")


class UniformReplay:
    """The newest `capacity` transitions, sampled uniformly with replacement.

    Memory is taken at the first `add`, in the shapes and dtypes that the transitions have.
    """

    def __init__(self, capacity: int, rng: np.random.Generator):
        """Hold up to `capacity` transitions; `rng` draws the samples."""
        self._capacity = capacity
        self._rng = rng
        self._total = 0  # ever added; transition i lies at i % capacity
        self._arrays: dict[str, Array] = {}

    def __len__(self) -> int:
        """Return the number of transitions stored."""
        return min(self._total, self._capacity)

    def add(self, transition: Transition) -> None:
        """Store the valid rows of a transition [N, ...].

        Raises:
            UsageError: the first time, where there is not enough memory.
        """
        rows = {name: getattr(transition, name) for name in _FIELDS}
        if not self._arrays:
            self._allocate({name: value for name, value in rows.items() if value is not None})
        valid = transition.valid
        slots = (self._total + np.arange(np.count_nonzero(valid))) % self._capacity
        for name, array in self._arrays.items():
            array[slots] = rows[name][valid]
        self._total += len(slots)

    def sample(self, batch_size: int) -> Batch:
        """Draw `batch_size` transitions with replacement; all weights are one."""
        index = self._rng.integers(len(self), size=batch_size)
        rows = {name: array.take(index, axis=0) for name, array in self._arrays.items()}
        rows.setdefault("next_legal_actions", None)  # type: ignore[arg-type]
        return Batch(**rows, weight=np.ones(batch_size, np.float32), index=index)

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Take no notice: every transition is as likely as any other."""

    def state_dict(self) -> State:
        """Return the contents in segments, and the generator."""
        oldest = self._total - len(self)
        bounds = range(oldest - oldest % SEGMENT, self._total, SEGMENT)
        spans = [(max(start, oldest), min(start + SEGMENT, self._total)) for start in bounds]
        segments = [Segment(f"replay-{start}-{stop}", partial(self._rows, start, stop)) for start, stop in spans]
        return {"total": self._total, "rng": self._rng.bit_generator.state, "segments": segments}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._total, self._arrays = state["total"], {}
        self._rng.bit_generator.state = state["rng"]
        for segment in state["segments"]:
            start, stop = map(int, segment.name.split("-")[1:])
            rows = segment.read()
            if not self._arrays:
                self._allocate(rows)
            for name, array in self._arrays.items():
                array[np.arange(start, stop) % self._capacity] = rows[name]

    def _rows(self, start: int, stop: int) -> dict[str, Array]:
        slots = np.arange(start, stop) % self._capacity
        return {name: array[slots] for name, array in self._arrays.items()}

    def _allocate(self, rows: dict[str, Array]) -> None:
        needed = sum(self._capacity * value[:1].nbytes for value in rows.values())
        require_memory(
            needed,
            f"a replay of {self._capacity:,} transitions",
            "set replay.capacity lower",
        )
        self._arrays = {name: np.empty((self._capacity, *value.shape[1:]), value.dtype) for name, value in rows.items()}
