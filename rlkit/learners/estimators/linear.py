"""Linear least squares, plain and with a ridge (Hastie, Tibshirani & Friedman, 2nd ed., sections 3.2 and 3.4.1)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy import sparse
from scipy.linalg import lstsq
from scipy.sparse.linalg import LinearOperator, lsqr
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from rlkit.core.types import Array
from rlkit.learners.estimators.descent import descend, largest_curvature
from rlkit.learners.estimators.epochs import OnEpoch
from rlkit.learners.estimators.rows import row_weights

LEARNING_RATE = [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})]


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Minimizes ``sum(w (X coef + intercept - y)**2) + alpha * |coef|**2``; the intercept is not penalized.

    Args:
        solver: ``closed_form`` (singular value decomposition; the shortest of all minimizers) or
            ``gradient_descent``, from zero weights, over all rows, the intercept being the weight of a column of ones.
        alpha: the ridge, at least 0.
        learning_rate: factor of the gradient of the cost, or ``auto`` for one over the largest curvature.
        max_iter: steps of gradient descent at most.
        tol: gradient descent stops when no entry of its gradient is larger; 0 takes all steps.
        fit_intercept: whether there is an intercept.

    Attributes:
        coef_: [d] weights, or [t, d] for targets [n, t].
        intercept_: number, or [t].
        cost_history_: of gradient descent, the cost before each step and after the last: half the mean of the squared
            errors (OHMSE), summed over targets, plus the ridge divided by twice the number of rows.
        n_iter_: steps taken; 1 in closed form.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "solver": [StrOptions({"closed_form", "gradient_descent"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate": LEARNING_RATE,
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
    }

    def __init__(
        self,
        solver: Literal["closed_form", "gradient_descent"] = "closed_form",
        alpha: NonNegativeFloat = 0.0,
        learning_rate: PositiveFloat | Literal["auto"] = "auto",
        max_iter: PositiveInt = 1000,
        tol: NonNegativeFloat = 1e-6,
        fit_intercept: bool = True,
    ):
        self.solver = solver
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, on_epoch: OnEpoch | None = None) -> Self:
        """Fit to rows X [n, d], dense or sparse, and targets y [n] or [n, t]; gradient descent reports its steps.

        Raises:
            ValueError: something is not finite or does not fit together, or gradient descent diverges.
        """
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], dtype=np.float64, multi_output=True, y_numeric=True
        )
        targets = np.asarray(y, np.float64).reshape(len(y), -1)
        weights = row_weights(sample_weight, len(y))
        if self.solver == "closed_form":
            coef, intercept = self._closed_form(X, targets, weights)
        else:
            coef, intercept = self._gradient_descent(X, targets, weights, on_epoch)
        self.coef_ = coef.T if y.ndim == 2 else coef[:, 0]
        self.intercept_ = intercept if y.ndim == 2 else float(intercept[0])
        return self

    def _closed_form(self, X: Any, y: Array, weights: Array) -> tuple[Array, Array]:
        self.n_iter_ = 1
        total = weights.sum()
        center = np.asarray(weights @ X) / total * self.fit_intercept
        mean = weights @ y / total * self.fit_intercept
        root = np.sqrt(weights)[:, None]
        solve = _least_squares_of_sparse if sparse.issparse(X) else _least_squares
        coef = solve(X, center, (y - mean) * root, root, np.sqrt(self.alpha))
        return coef, mean - center @ coef

    def _gradient_descent(self, X: Any, y: Array, weights: Array, on_epoch: OnEpoch | None) -> tuple[Array, Array]:
        shares = weights[:, None] / weights.sum()
        ridge = self.alpha / weights.sum()

        def cost(w: Array) -> tuple[float, Array]:
            residual = X @ w[1:] + w[0] - y
            weighted = residual * shares
            value = (np.vdot(weighted, residual) + ridge * np.vdot(w[1:], w[1:])) / 2
            slope = weighted.sum(axis=0, keepdims=True) * self.fit_intercept
            return float(value), np.vstack([slope, X.T @ weighted + ridge * w[1:]])

        rate = self.learning_rate
        if rate == "auto":
            rate = 1 / max(largest_curvature(X, weights, self.fit_intercept) + ridge, np.finfo(float).tiny)
        start = np.zeros((X.shape[1] + 1, y.shape[1]))
        w, self.cost_history_ = descend(cost, start, rate, self.max_iter, self.tol, on_epoch)
        self.n_iter_ = max(1, len(self.cost_history_) - 1)
        return w[1:], w[0]

    def predict(self, X: Any) -> Array:
        """Return the predictions [n] or [n, t] for rows X [n, d]."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=np.float64, reset=False)
        return np.asarray(X @ self.coef_.T + self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _least_squares(X: Array, center: Array, y: Array, root: Array, ridge: float) -> Array:
    """Return the shortest minimizer [d, t] of the weighted squares; a ridge is one more row for each column."""
    rows, columns = X.shape
    scaled = np.zeros((rows + columns * (ridge > 0), columns), order="F")
    np.multiply(X - center, root, out=scaled[:rows])
    if ridge > 0:
        scaled[rows:] = ridge * np.eye(columns)
        y = np.vstack([y, np.zeros((columns, y.shape[1]))])
    # A direction that only rounding gives is none: centring leaves one.
    least = max(scaled.shape) * np.finfo(float).eps
    return np.asarray(lstsq(scaled, y, cond=least, check_finite=False, overwrite_a=True)[0])


def _least_squares_of_sparse(X: Any, center: Array, y: Array, root: Array, ridge: float) -> Array:
    """Return the same without making X dense: by conjugate gradients (LSQR, Paige & Saunders, 1982)."""
    scaled = sparse.csr_array(X.multiply(root))
    root = root[:, 0]
    operator = LinearOperator(
        X.shape,
        matvec=lambda v: scaled @ v.ravel() - root * (center @ v.ravel()),
        rmatvec=lambda u: scaled.T @ u.ravel() - center * (root @ u.ravel()),
        dtype=np.float64,
    )
    return np.stack(
        [lsqr(operator, column, damp=ridge, atol=1e-14, btol=1e-14, iter_lim=10**5)[0] for column in y.T], 1
    )
