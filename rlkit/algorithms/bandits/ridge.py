"""A ridge regression for each arm, kept exact step by step (Li et al., 2010, algorithm 1)."""

from __future__ import annotations

import numpy as np

from rlkit.algorithms.bandits.model import Steps
from rlkit.core.types import Array, State, UsageError

LARGEST = 2**28
"""Numbers in the inverses of all arms: 2 GiB."""


class RidgeArms:
    """Linear means with weights ``w_a = A_a^-1 b_a``, where ``A_a = ridge I + sum x x'`` and ``b_a = sum r x``.

    As Bayesian linear regression with rewards of variance 1 and weights of variance 1 / ridge, these are the means
    of normal weights with covariance ``A_a^-1``. Arms are independent, so that a draw of an arm's mean in one context
    is the draw of its weights.

    Attributes:
        inverse: [A, D, D] float64, of A_a.
        sums: [A, D] float64, b_a.
    """

    has_deviation = True

    def __init__(self, num_actions: int, width: int, *, ridge: float, intercept: bool):
        """Begin with weights 0.

        Args:
            num_actions: A.
            width: of a context.
            ridge: penalty on squared weights, of the intercept's, too.
            intercept: contexts get a column of ones.

        Raises:
            UsageError: a ridge that is not positive, or more weights than memory is for.
        """
        if ridge <= 0:
            raise UsageError(f"agent.ridge is {ridge:g}; it must be above 0")
        self._intercept = intercept
        size = width + intercept
        if num_actions * size**2 > LARGEST:
            raise UsageError(
                f"{num_actions} arms with contexts of {size} numbers are too many for exact ridges; set "
                "learner@agent.estimator=… or shorter observations"
            )
        self.inverse = np.tile(np.eye(size) / ridge, (num_actions, 1, 1))
        self.sums = np.zeros((num_actions, size))

    @property
    def weights(self) -> Array:
        """[A, D] float64, the intercept's first."""
        return np.asarray(np.einsum("ade,ae->ad", self.inverse, self.sums))

    def _rows(self, context: Array) -> Array:
        return np.column_stack((np.ones(len(context)), context)) if self._intercept else context

    def mean(self, context: Array) -> Array:
        """Return the expected rewards [N, A]."""
        return np.asarray(self._rows(context) @ self.weights.T)

    def deviation(self, context: Array) -> Array:
        """Return ``sqrt(x' A_a^-1 x)`` [N, A]."""
        rows = self._rows(context)
        products = np.einsum("nad,nd->na", np.tensordot(rows, self.inverse, (1, 1)), rows)
        return np.asarray(np.sqrt(np.maximum(products, 0)))

    def draw(self, context: Array, rng: np.random.Generator, scale: float) -> Array:
        """Draw expected rewards [N, A]."""
        deviation = self.deviation(context)
        return self.mean(context) + scale * deviation * rng.standard_normal(deviation.shape)

    @np.errstate(over="ignore", invalid="ignore")
    def learn(self, steps: Steps) -> None:
        """Add steps, one after the other (Sherman & Morrison, 1950)."""
        for x, a, reward in zip(self._rows(steps.context), steps.action, steps.reward, strict=True):
            inverse = self.inverse[a]
            direction = inverse @ x
            inverse -= np.outer(direction, direction) / (1 + x @ direction)
            self.sums[a] += reward * x

    def state_dict(self) -> State:
        """Return inverses and sums."""
        return {"inverse": self.inverse.copy(), "sums": self.sums.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.inverse, self.sums = np.array(state["inverse"]), np.array(state["sums"])
