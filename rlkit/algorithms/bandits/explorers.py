"""How a bandit explores by its model of rewards."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from rlkit.algorithms.bandits.model import RewardModel
from rlkit.algorithms.exploration import epsilon_greedy, greedy
from rlkit.core.ranges import NonNegativeFloat
from rlkit.core.schedules import ProbabilitySchedule
from rlkit.core.types import Array, UsageError


class Explorer(Protocol):
    """Chooses arms."""

    needs_deviation: ClassVar[bool]
    """Whether it uses deviations, not only means."""

    def __call__(
        self, model: RewardModel, context: Array, step: int, rng: np.random.Generator, legal_actions: Array | None
    ) -> Array:
        """Return an arm [N] for each context [N, D]; `step` counts the decisions so far."""


class EpsilonGreedy:
    """The arm of the highest mean, or with probability `epsilon` a uniformly drawn one."""

    needs_deviation = False

    def __init__(self, epsilon: ProbabilitySchedule):
        """Explore with probability `epsilon`, a schedule of the number of decisions."""
        self._epsilon = epsilon

    def __call__(
        self, model: RewardModel, context: Array, step: int, rng: np.random.Generator, legal_actions: Array | None
    ) -> Array:
        """Return an arm [N] for each context [N, D]."""
        return epsilon_greedy(model.mean(context), self._epsilon(step), rng, legal_actions)


class _Scaled:
    needs_deviation = True

    def __init__(self, scale: NonNegativeFloat):
        """Multiply deviations by `scale`.

        Raises:
            UsageError: it is negative.
        """
        if scale < 0:
            raise UsageError(f"agent.explorer.scale is {scale:g}; it must be at least 0")
        self._scale = scale


class UpperBound(_Scaled):
    """The arm of the highest mean plus `scale` deviations; with ridges that is LinUCB (Li et al., 2010)."""

    def __call__(
        self, model: RewardModel, context: Array, step: int, rng: np.random.Generator, legal_actions: Array | None
    ) -> Array:
        """Return an arm [N] for each context [N, D]."""
        return greedy(model.mean(context) + self._scale * model.deviation(context), rng, legal_actions)


class ThompsonSampling(_Scaled):
    """The best arm of a draw from what is believed (Thompson, 1933; with ridges, Agrawal & Goyal, 2013)."""

    def __call__(
        self, model: RewardModel, context: Array, step: int, rng: np.random.Generator, legal_actions: Array | None
    ) -> Array:
        """Return an arm [N] for each context [N, D]."""
        return greedy(model.draw(context, rng, self._scale), rng, legal_actions)
