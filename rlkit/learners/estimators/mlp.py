"""Multi-layer perceptrons in NumPy, by explicit backpropagation; `mlp_base` has the arguments."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from rlkit.core.types import Array
from rlkit.learners.estimators.classes import codes_among, one_hot
from rlkit.learners.estimators.epochs import OnEpoch
from rlkit.learners.estimators.mlp_base import BaseMLP
from rlkit.learners.estimators.settings import choose, require


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron for classes, or for several labels at once (y [n, K] of 0 and 1).

    Softmax outputs are probabilities of classes. Sigmoid ones are independent, one for each class or label, or one
    alone where there are two classes; as probabilities of classes they are divided by their sum.

    Attributes:
        classes_: [K] in order; 0, 1, ... for labels.
        multilabel_: y was labels.
    """

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from rows for one epoch, going on from where the last call ended.

        Args:
            X: [n, F].
            y: [n] or [n, K].
            classes: all that will ever come, for the first call; None: those in `y`.
            sample_weight: [n] of at least 0; None: 1 each.

        Raises:
            SettingError: an argument that cannot be, or a class that was not announced.
        """
        first = not hasattr(self, "parameters_")
        self._announced = classes if first else None
        return self._partial_fit(X, y, sample_weight, first)

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None, on_epoch: OnEpoch | None = None
    ) -> Self:
        """Learn as `BaseMLP.fit` does, with classes y [n] or labels y [n, K]."""
        self._announced = None
        return super().fit(X, y, sample_weight, validation=validation, on_epoch=on_epoch)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities [B, K] of the classes or labels for rows X [B, F]."""
        outputs = self._outputs(X)
        if self.multilabel_:
            return outputs
        if outputs.shape[1] < len(self.classes_):
            return np.hstack((1 - outputs, outputs))
        return np.asarray(outputs / np.maximum(outputs.sum(1, keepdims=True), np.finfo(float).tiny))

    def predict(self, X: Any) -> Array:
        """Return the likeliest classes [B], the first of equals; or the labels [B, K] that are likelier than not."""
        probabilities = self.predict_proba(X)
        if self.multilabel_:
            return (probabilities > 0.5).astype(np.int64)
        return np.asarray(self.classes_[probabilities.argmax(1)])

    def _usual_output(self) -> str:
        return "sigmoid" if self.multilabel_ else "softmax"

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": np.float64, "multi_output": True}
        x, y = validate_data(self, X, y, reset=first, **options)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first:
            self._learn_classes(y)
        return x, self._targets(y)

    def _learn_classes(self, y: Array) -> None:
        self.multilabel_ = type_of_target(y).startswith("multilabel")
        named = y if self._announced is None else np.asarray(self._announced)
        self.classes_ = np.arange(y.shape[1]) if self.multilabel_ else np.unique(named)
        outputs = {"auto": None, "softmax": None, "sigmoid": None}
        choose("output of a classifier", self.output, outputs)
        softmax = self.output == "softmax" and self.multilabel_
        require(not softmax, "output", self.output, "sigmoid where y has several labels")

    def _targets(self, y: Array) -> Array:
        if self.multilabel_:
            return np.asarray(y, np.float64)
        codes = codes_among(y, self.classes_)
        if self.output == "sigmoid" and len(self.classes_) == 2:
            return codes[:, None].astype(np.float64)
        return one_hot(codes, len(self.classes_))

    def _strata(self, targets: Array) -> Array | None:
        if self.multilabel_:
            return None
        return targets[:, 0] if targets.shape[1] == 1 else targets.argmax(1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(MultiOutputMixin, RegressorMixin, BaseMLP):
    """A multi-layer perceptron for numbers: y [n], or [n, K] several at once.

    Outputs are identity (the usual one), tanh or sigmoid; targets must be within their range to be reached.
    """

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows X [n, F] for one epoch, going on from where the last call ended.

        Raises:
            SettingError: an argument that cannot be.
        """
        return self._partial_fit(X, y, sample_weight, not hasattr(self, "parameters_"))

    def predict(self, X: Any) -> Array:
        """Return the outputs [B] or [B, K] for rows X [B, F]."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def _usual_output(self) -> str:
        return "identity"

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        outputs = {"auto": None, "identity": None, "tanh": None, "sigmoid": None}
        choose("output of a regressor", self.output, outputs)
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": np.float64, "multi_output": True}
        x, y = validate_data(self, X, y, reset=first, y_numeric=True, **options)
        return x, np.asarray(y, np.float64).reshape(len(y), -1)

    def _strata(self, targets: Array) -> Array | None:
        return None
