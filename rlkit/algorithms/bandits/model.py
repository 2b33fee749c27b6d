"""The interface of a bandit's model of rewards."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from rlkit.core.types import Array, State


class Steps(NamedTuple):
    """Contexts, the arms pulled in them, and their rewards."""

    context: Array  # [M, D] float64
    action: Array  # [M] int64
    reward: Array  # [M] float64


class RewardModel(Protocol):
    """Beliefs about the rewards of A arms in contexts [N, D]."""

    @property
    def has_deviation(self) -> bool:
        """Whether the model estimates deviations, not only means."""

    def mean(self, context: Array) -> Array:
        """Return the expected rewards [N, A]."""

    def deviation(self, context: Array) -> Array:
        """Return the standard deviations [N, A] of what is believed of them, up to a factor."""

    def draw(self, context: Array, rng: np.random.Generator, scale: float) -> Array:
        """Draw expected rewards [N, A] from what is believed, deviations scaled where the model has any."""

    def learn(self, steps: Steps) -> None:
        """Learn from steps, at once or later."""

    def state_dict(self) -> State:
        """Return all that changes, as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
