"""A recommender as a model of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.algorithms.bandits.ensemble import Ensemble
from rlkit.algorithms.bandits.model import Steps
from rlkit.core.types import Array, UsageError

UNKNOWN = ("missing", "zero")


class RecommenderArms(Ensemble):
    """Contexts are rows of items, above 0 where one is liked, below where not, 0 where that is not known.

    Each context is a row of the recommender's matrix: 1 and 0 for what is known, and the mean reward of what was shown.
    """

    def __init__(self, estimator: Any, num_actions: int, width: int, *, unknown: str, **options: Any):
        """Start without any estimate.

        Args:
            estimator: one of rlkit's recommenders.
            num_actions: A items.
            width: of contexts.
            unknown: what is not known is missing, or counts as 0, which is right where only likes are known.
            options: those of `Ensemble`.

        Raises:
            UsageError: contexts are no rows of items, another `unknown`, or what `Ensemble` refuses.
        """
        if unknown not in UNKNOWN:
            raise UsageError(f"agent.unknown is {unknown}; it must be one of {', '.join(UNKNOWN)}")
        if width != num_actions:
            raise UsageError(
                f"a recommender needs a number for each of the {num_actions} items, and observations have {width}; "
                "set env.observation=history"
            )
        super().__init__(estimator, num_actions, width, **options)
        self._zero = unknown == "zero"

    def _parts(self, steps: Steps) -> Sequence[Steps]:
        return [steps]

    def _train(self, member: Any, steps: Steps) -> None:
        context, rows = np.unique(steps.context, axis=0, return_inverse=True)
        values, known = self._cells(context)
        cells = rows.ravel() * self.num_actions + steps.action
        counts = np.bincount(cells, minlength=values.size).reshape(values.shape)
        sums = np.bincount(cells, steps.reward, values.size).reshape(values.shape)
        values = np.where(counts > 0, sums / np.maximum(counts, 1), values)
        member.fit(_matrix(values, known | (counts > 0)))

    def _cells(self, context: Array) -> tuple[Array, Array]:
        """Return ratings [N, A], and which of them there are."""
        known = (context != 0) | self._zero
        return (context > 0).astype(np.float64), known

    def _estimates(self, context: Array, member: int) -> Array:
        fitted = self.members[0][member]
        return np.asarray(fitted.inverse_transform(fitted.transform(_matrix(*self._cells(context)))))


def _matrix(values: Array, known: Array) -> Any:
    """Return a `csr_array` of the values that are known, zeros among them."""
    from scipy import sparse

    rows, columns = np.nonzero(known)
    ends = np.concatenate(([0], np.cumsum(known.sum(axis=1))))
    return sparse.csr_array((values[rows, columns], columns, ends), shape=values.shape)
