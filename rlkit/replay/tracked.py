"""Experience replay that knows which rows belong to one episode, and to one environment."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array, FromRun, State
from rlkit.replay.episodes import Episodes
from rlkit.replay.uniform import UniformReplay


class TrackedReplay(UniformReplay):
    """The newest transitions, whose neighbors in their episodes and environments can be looked up."""

    def __init__(self, capacity: PositiveInt, rng: FromRun[np.random.Generator], **options: Any):
        """Store up to `capacity` transitions; `rng` and `options` are those of `UniformReplay`."""
        super().__init__(capacity, rng, **options)
        self._episodes: Episodes | None = None

    def _entered(self, slots: Array, oldest: int, whole: int) -> None:
        super()._entered(slots, oldest, whole)
        self._track(self._rows.total - len(slots) + np.arange(len(slots)))

    def _track(self, numbers: Array) -> None:
        """Enter rows into the episodes."""
        if self._episodes is None:
            self._episodes = Episodes(self._rows.capacity, len(self._tail))
        env, follows = (self._rows.take(name, numbers % self._rows.capacity) for name in ("env", "follows"))
        self._episodes.add(numbers, env, follows, self._first)

    def _copied(self) -> Self:
        other = super()._copied()
        other._episodes = None if self._episodes is None else self._episodes.copied()
        return other

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`.

        Raises:
            ValueError: it is none of a replay of this capacity.
        """
        super().load_state_dict(state)
        self._episodes = None
        if self._rows.total > self._first:
            self._track(np.arange(self._first, self._rows.total))
