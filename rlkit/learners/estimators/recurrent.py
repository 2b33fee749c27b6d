"""Recurrent networks in NumPy, by explicit backpropagation through time; `recurrent_base` has the arguments."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from rlkit.core.types import Array
from rlkit.learners.estimators.classes import codes_among, one_hot
from rlkit.learners.estimators.recurrent_base import BaseRecurrent
from rlkit.learners.estimators.settings import SettingError, choose


class RecurrentClassifier(ClassifierMixin, BaseRecurrent):
    """A recurrent network for classes: of a sequence, y [n], or of its steps, y [n, S].

    Attributes:
        classes_: [K] in order.
    """

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from sequences for one epoch, going on from where the last call ended.

        Args:
            X: [n, T, D] or [n, T * D].
            y: [n] or [n, S].
            classes: all that will ever come, for the first call; None: those in `y`.
            sample_weight: [n] of at least 0; None: 1 each.

        Raises:
            SettingError: an argument that cannot be, or a class that was not announced.
        """
        first = not hasattr(self, "parameters_")
        if first:
            self._announced = classes
        return self._partial_fit(X, y, sample_weight, first)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **watched: Any) -> Self:
        """Learn as `EpochLearner.fit` does."""
        self._announced = None
        return super().fit(X, y, sample_weight, **watched)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes, [B, K] of sequences or [B, S, K] of their steps."""
        shares = self._predicted(X)
        shares = shares / np.maximum(shares.sum(-1, keepdims=True), np.finfo(shares.dtype).tiny)
        return shares[:, 0] if self.outputs == "last" else shares

    def predict(self, X: Any) -> Array:
        """Return the likeliest classes, [B] of sequences or [B, S] of their steps."""
        best = self.predict_proba(X).argmax(-1)
        return np.asarray(self.classes_[best])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of right classes, of all steps that have one."""
        right = self.predict(X) == np.asarray(y)
        return float(np.average(right.reshape(len(right), -1).mean(1), weights=sample_weight))

    def _usual_output(self) -> str:
        return "softmax"

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        choose("output of a classifier", self.output, {"auto": None, "softmax": None, "sigmoid": None})
        x, y = self._sequences(X, first=first), np.asarray(y)
        y = column_or_1d(y, warn=True) if self.outputs == "last" else y
        check_consistent_length(x, y)
        check_classification_targets(y.ravel())
        if first:
            self.classes_ = np.unique(y if self._announced is None else np.asarray(self._announced))
        steps = y.reshape(len(y), -1)
        self._require_steps(x, steps.shape[1])
        codes = one_hot(codes_among(steps.ravel(), self.classes_), len(self.classes_))
        return x, codes.reshape(*steps.shape, -1)

    def _strata(self, targets: Array) -> Array | None:
        return targets[:, 0].argmax(1) if self.outputs == "last" else None


class RecurrentRegressor(MultiOutputMixin, RegressorMixin, BaseRecurrent):
    """A recurrent network for numbers: y [n] or [n, K] of a sequence, [n, S] or [n, S, K] of its steps."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from sequences for one epoch, going on from where the last call ended.

        Raises:
            SettingError: an argument that cannot be.
        """
        return self._partial_fit(X, y, sample_weight, not hasattr(self, "parameters_"))

    def predict(self, X: Any) -> Array:
        """Return the outputs in the form that y had: [B] or [B, K] of sequences, [B, S] or [B, S, K] of their steps."""
        found = self._predicted(X)
        found = found[:, 0] if self.outputs == "last" else found
        return found[..., 0] if self.flat_ else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination, over all numbers."""
        from sklearn.metrics import r2_score

        found = self.predict(X)
        return float(
            r2_score(np.asarray(y).reshape(len(found), -1), found.reshape(len(found), -1), sample_weight=sample_weight)
        )

    def _usual_output(self) -> str:
        return "identity"

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        outputs = {"auto": None, "identity": None, "tanh": None, "sigmoid": None}
        choose("output of a regressor", self.output, outputs)
        x, y = self._sequences(X, first=first), _finite(y)
        check_consistent_length(x, y)
        least = 1 if self.outputs == "last" else 2
        steps = y.shape[1] if y.ndim >= least == 2 else 1
        self._require_steps(x, steps)
        self.flat_ = y.ndim <= least
        targets = y.reshape(len(y), steps, -1)
        return x, targets

    def _strata(self, targets: Array) -> Array | None:
        return None


def _finite(y: Any) -> Array:
    if y is None:
        raise SettingError("a regressor requires y to be passed, but the target y is None")
    return np.asarray(check_array(y, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y"))
