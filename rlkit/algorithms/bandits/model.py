"""What a bandit's agent asks of a model of rewards."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from rlkit.core.types import Array, State


class Steps(NamedTuple):
    """What was done, and what it earned."""

    context: Array  # [M, D] float64
    action: Array  # [M] int64
    reward: Array  # [M] float64


class RewardModel(Protocol):
    """Beliefs about the rewards of A arms in contexts [N, D]."""

    @property
    def tells_deviation(self) -> bool:
        """Whether there is more than a mean."""

    def mean(self, context: Array) -> Array:
        """Return the expected rewards [N, A]."""

    def deviation(self, context: Array) -> Array:
        """Return the standard deviations [N, A] of what is believed of them, up to a factor."""

    def draw(self, context: Array, rng: np.random.Generator, scale: float) -> Array:
        """Draw expected rewards [N, A] from what is believed, deviations scaled where they are told."""

    def learn(self, steps: Steps) -> None:
        """Take in steps, some of which it may learn from later."""

    def state_dict(self) -> State:
        """Return all that changes, as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
