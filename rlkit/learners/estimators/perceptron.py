"""The perceptron (Rosenblatt, 1958; Bishop, Pattern Recognition, section 4.1.7)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from rlkit.core.types import Array
from rlkit.learners.estimators.classes import codes_among, encoded
from rlkit.learners.estimators.epochs import OnEpoch, report_epoch
from rlkit.learners.estimators.perceptron_kernel import epoch
from rlkit.learners.estimators.rows import class_weights, content_order, counted, row_weights, visits


class Perceptron(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """Adds each row on the wrong side of the plane, times its sign and the learning rate, to the weights.

    More than two classes have a plane each, against all others. A row of weight 3 is visited three times in an epoch;
    whole weights are repetitions, of others as many visits as there are rows are spread evenly.

    Args:
        learning_rate: factor of what is added; from zero weights it changes no prediction.
        max_iter: epochs at most.
        tol: an epoch improves if the sum of the rows' losses ``max(0, -sign * z)`` falls by that much per row.
        n_iter_no_change: epochs without improvement that end learning.
        fit_intercept: whether there is an intercept.
        shuffle: whether each epoch visits the rows in a new order, which then depends on what the rows hold, not on
            where they stand; else they are visited as they come.
        class_weight: factors of the rows' weights as in scikit-learn: a dict from class to factor, or ``balanced``.
        random_state: seed or generator of the orders.

    Attributes:
        classes_: [k] labels in order.
        coef_: [1, d] of two classes, else [k, d].
        intercept_: [1] or [k].
        cost_history_: of each plane, the mean loss of each epoch.
        n_iter_: the most epochs that a plane took.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "fit_intercept": ["boolean"],
        "shuffle": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        learning_rate: PositiveFloat = 1.0,
        max_iter: PositiveInt = 1000,
        tol: NonNegativeFloat = 1e-3,
        n_iter_no_change: PositiveInt = 5,
        fit_intercept: bool = True,
        shuffle: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
    ):
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.fit_intercept = fit_intercept
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, on_epoch: OnEpoch | None = None) -> Self:
        """Fit to rows X [n, d], dense or sparse, and labels y [n], from zero weights; each plane reports its epochs.

        Raises:
            ValueError: there is one class only, or something is not finite or does not fit together.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        weights, [X, y] = counted(row_weights(sample_weight, len(y)), X, y)
        self.classes_, codes = encoded(y, least=2)
        self._start()
        self._learn(X, codes, weights * class_weights(self.class_weight, y), self.max_iter, on_epoch)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on for one epoch with rows X [n, d] and labels y [n].

        Args:
            X: dense or sparse.
            y: labels among `classes`.
            classes: all labels that there will be, needed in the first call.
            sample_weight: [n].

        Raises:
            ValueError: `classes` is missing or another than before, or something does not fit together.
        """
        first = _check_partial_fit_first_call(self, classes)
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, reset=first)
        if first:
            self._start()
        weights, [X, y] = counted(row_weights(sample_weight, len(y)), X, y)
        codes = codes_among(y, self.classes_)
        self._learn(X, codes, weights * class_weights(self.class_weight, y), 1)
        return self

    def _start(self) -> None:
        planes = 1 if len(self.classes_) == 2 else len(self.classes_)
        self.coef_ = np.zeros((planes, self.n_features_in_))
        self.intercept_ = np.zeros(planes)

    def _learn(self, X: Any, codes: Array, weights: Array, epochs: int, on_epoch: OnEpoch | None = None) -> None:
        rng = check_random_state(self.random_state)
        order = content_order(X, codes[:, None]) if self.shuffle else np.arange(len(codes))
        rows = visits(order, weights)
        data = sparse.csr_array(X)
        arrays = data.data, data.indices.astype(np.int64), data.indptr.astype(np.int64)
        self.cost_history_ = []
        for plane in range(len(self.coef_)):
            signs = np.where(codes == (plane if len(self.coef_) > 1 else 1), 1.0, -1.0)
            self.cost_history_.append(self._learn_plane(plane, arrays, signs, rows, epochs, rng, on_epoch))
        self.n_iter_ = max(map(len, self.cost_history_))

    def _learn_plane(
        self,
        plane: int,
        arrays: tuple[Array, Array, Array],
        signs: Array,
        rows: Array,
        epochs: int,
        rng: Any,
        on_epoch: OnEpoch | None,
    ) -> list[float]:
        """Change a plane; return the mean loss of each epoch."""
        bias_rate = self.learning_rate * self.fit_intercept
        weights, bias = self.coef_[plane], self.intercept_[plane : plane + 1]
        costs: list[float] = []
        best, unimproved = np.inf, 0
        while len(costs) < epochs and unimproved < self.n_iter_no_change:
            order = rng.permutation(rows) if self.shuffle else rows
            cost = epoch(*arrays, signs, order, weights, bias, self.learning_rate, bias_rate) / len(rows)
            unimproved = unimproved + 1 if cost > best - self.tol else 0
            best = min(best, cost)
            costs.append(cost)
            report_epoch(on_epoch, len(costs), epochs, cost=costs)
        return costs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
