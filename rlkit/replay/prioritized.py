"""Prioritized experience replay, proportional variant (Schaul et al., 2016)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat
from rlkit.core.schedules import ProbabilitySchedule
from rlkit.core.types import Array, Batch, FromRun, State
from rlkit.replay.stored import require_priorities
from rlkit.replay.sums import SumTree
from rlkit.replay.uniform import LARGE_SAMPLE, UniformReplay

EXTREMES = (1e-300, 1e290)
"""The least and the greatest priority, so that none is 0 and their sum is finite whatever alpha is."""


class PrioritizedReplay(UniformReplay):
    """The newest transitions, drawn with a probability that grows with their temporal-difference error."""

    prioritized = True

    def __init__(
        self,
        capacity: int,
        rng: FromRun[np.random.Generator],
        *,
        alpha: NonNegativeFloat,
        beta: ProbabilitySchedule,
        epsilon: PositiveFloat,
        **options: Any,
    ):
        """Store up to `capacity` transitions.

        Args:
            capacity: number of transitions.
            rng: draws the samples.
            alpha: exponent of priorities; 0 is uniform.
            beta: exponent of importance weights, by the number of transitions added; 1 corrects in full.
            epsilon: added to errors, so that every transition can be drawn.
            options: of `UniformReplay`.
        """
        super().__init__(capacity, rng, **options)
        self._alpha = alpha
        self._beta = beta
        self._epsilon = epsilon
        self._priorities = SumTree(capacity)
        self._highest = 1.0

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        """Draw `batch_size` transitions; weights are ``(len * probability) ** -beta``, divided by the batch's largest.

        `gamma` is needed as in `UniformReplay.sample`.
        """
        self._enter()
        if batch_size >= LARGE_SAMPLE:
            self._require_room(batch_size)
        size = self._rows.total - self._first
        total = self._priorities.total
        slots = self._priorities.prefix_sum_index(self._rng.random(batch_size) * total)
        weight = (size * self._priorities[slots] / total) ** -self._beta(self._rows.total)
        return self._batch(self._numbers(slots), (weight / weight.max()).astype(np.float32), gamma)

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Set the priorities of rows number `index` [B] int64 by their errors [B]; rows dropped since are skipped."""
        self._enter()
        stored = index >= self._first
        with np.errstate(over="ignore"):
            priority = (np.abs(td_error[stored].astype(np.float64)) + self._epsilon) ** self._alpha
        priority = np.clip(priority, *EXTREMES)
        if len(priority):
            self._priorities[index[stored] % self._rows.capacity] = priority
            self._highest = max(self._highest, float(priority.max()))

    def _numbers(self, slots: Array) -> Array:
        newest = self._rows.total - 1
        return newest - (newest - slots) % self._rows.capacity

    def _entered(self, slots: Array, oldest: int, whole: int) -> None:
        self._priorities[slots] = self._highest
        if whole > oldest:
            self._priorities[np.arange(oldest, whole) % self._rows.capacity] = 0.0
        super()._entered(slots, oldest, whole)

    def _copied(self) -> Self:
        other = super()._copied()
        other._priorities = self._priorities.copied()
        return other

    def _entered_state(self) -> State:
        """Return the contents, and the priorities of the stored rows."""
        state = super()._entered_state()
        slots = np.arange(self._first, self._rows.total) % self._rows.capacity
        return {**state, "priorities": self._priorities[slots], "highest": self._highest}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`.

        Raises:
            ValueError: it is none of a replay of this capacity.
        """
        super().load_state_dict(state)
        self._priorities = SumTree(self._rows.capacity)
        self._highest = float(state["highest"])
        slots = np.arange(self._first, self._rows.total) % self._rows.capacity
        if len(slots):
            self._priorities[slots] = require_priorities(state["priorities"], len(slots))
