"""Any classifier or regressor as a model of rewards."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.algorithms.bandits.ensemble import Ensemble
from rlkit.algorithms.bandits.model import Steps
from rlkit.core.types import Array


class EstimatorArms(Ensemble):
    """An estimator for each arm, or one for all, whose input is the context and the arm, one-hot.

    A regressor learns rewards; a classifier learns whether they are above 0, and its probability of that counts. One
    that returns its own deviation (``predict(X, return_std=True)``) needs no bootstrap.
    """

    def __init__(self, estimator: Any, num_actions: int, width: int, *, joint: bool, **options: Any):
        """Start without any estimate; `joint`: one estimator for all arms; the rest is as in `Ensemble`."""
        from sklearn.base import is_classifier

        super().__init__(estimator, num_actions, width, **options)
        self._classifies = is_classifier(estimator)
        self._joint = joint
        self._own = "return_std" in inspect.signature(estimator.predict).parameters and self.size == 1

    @property
    def has_deviation(self) -> bool:
        """Whether the estimator returns deviations, or there are several members."""
        return self._own or super().has_deviation

    def _parts(self, steps: Steps) -> Sequence[Steps]:
        if self._joint:
            return [steps._replace(context=np.column_stack((steps.context, np.eye(self.num_actions)[steps.action])))]
        return [Steps(*(column[steps.action == arm] for column in steps)) for arm in range(self.num_actions)]

    def _enough(self, steps: Steps) -> bool:
        both = not self._classifies or self._partial or len(np.unique(steps.reward > 0)) == 2
        return super()._enough(steps) and both

    def _train(self, member: Any, steps: Steps) -> None:
        target = (steps.reward > 0).astype(np.int64) if self._classifies else steps.reward
        if not self._partial:
            member.fit(steps.context, target)
        elif self._classifies:
            member.partial_fit(steps.context, target, classes=np.array([0, 1]))
        else:
            member.partial_fit(steps.context, target)

    def _estimates(self, context: Array, member: int) -> Array:
        return self._asked(context, member, self._predicted)

    def _asked(self, context: Array, member: int, ask: Any) -> Array:
        """Return the results [N, A] of `ask(estimator, rows)`; NaN for arms without one."""
        fitted = [members[member] for members in self.members]
        if self._joint:
            rows = np.column_stack((np.repeat(context, self.num_actions, axis=0), self._arms(len(context))))
            return np.asarray(ask(fitted[0], rows)).reshape(len(context), -1)
        unknown = np.full(len(context), np.nan)
        return np.column_stack([unknown if one is None else ask(one, context) for one in fitted])

    def _arms(self, rows: int) -> Array:
        return np.tile(np.eye(self.num_actions), (rows, 1))

    def _predicted(self, fitted: Any, rows: Array) -> Array:
        if fitted is None:
            return np.full(len(rows), np.nan)
        return np.asarray(fitted.predict_proba(rows)[:, 1] if self._classifies else fitted.predict(rows)).ravel()

    def deviation(self, context: Array) -> Array:
        """Return the standard deviations [N, A] over the members, or the estimators' own."""
        if not self._own or not self.members:
            return super().deviation(context)
        deviation = self._asked(context, 0, lambda fitted, rows: fitted.predict(rows, return_std=True)[1])
        return np.where(np.isnan(deviation), 1 / np.sqrt(self._counts), deviation)

    def draw(self, context: Array, rng: np.random.Generator, scale: float) -> Array:
        """Return the estimates [N, A] of a member for each row, or normal draws by the estimators' own deviations."""
        if not self._own:
            return super().draw(context, rng, scale)
        deviation = self.deviation(context)
        return self.mean(context) + scale * deviation * rng.standard_normal(deviation.shape)
