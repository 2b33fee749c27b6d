"""The newest steps of a bandit."""

from __future__ import annotations

import numpy as np

from rlkit.algorithms.bandits.model import Steps
from rlkit.core.resources import require_memory
from rlkit.core.types import State


class Memory:
    """A ring of the newest steps.

    Attributes:
        count: steps that were ever added.
    """

    def __init__(self, capacity: int, width: int):
        """Make room for `capacity` steps with contexts of `width` numbers."""
        require_memory(8 * capacity * (width + 2), f"a memory of {capacity:,} steps", "set {memory} lower")
        self._steps = Steps(np.zeros((capacity, width)), np.zeros(capacity, np.int64), np.zeros(capacity))
        self._capacity, self.count = capacity, 0

    def add(self, steps: Steps) -> None:
        """Store steps in place of the oldest."""
        places = (self.count + np.arange(len(steps.action))) % self._capacity
        for own, given in zip(self._steps, steps, strict=True):
            own[places] = given
        self.count += len(places)

    def newest(self, number: int) -> Steps:
        """Return so many of the newest steps, or as many as there are, oldest first."""
        number = min(number, self.count, self._capacity)
        places = np.arange(self.count - number, self.count) % self._capacity
        return Steps(*(own[places] for own in self._steps))

    def state_dict(self) -> State:
        """Return what is stored."""
        return {**self.newest(self._capacity)._asdict(), "count": self.count}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        steps = Steps(state["context"], state["action"], state["reward"])
        self.count = state["count"] - len(steps.action)
        self.add(steps)
