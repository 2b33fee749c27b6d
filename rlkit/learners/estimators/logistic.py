"""Logistic regression of two or more classes (Hastie, Tibshirani & Friedman, 2nd ed., section 4.4)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from rlkit.core.types import Array
from rlkit.learners.estimators.classes import encoded
from rlkit.learners.estimators.descent import descend, largest_curvature, require_finite
from rlkit.learners.estimators.epochs import OnEpoch, report_epoch
from rlkit.learners.estimators.linear import LEARNING_RATE
from rlkit.learners.estimators.logistic_loss import Objective, objective, sigmoid, softmax
from rlkit.learners.estimators.rows import class_weights, content_order, counted, row_weights, visits

DIRECT = 2000
"""Weights of which Newton's method writes down all second derivatives; of more it computes products with directions."""
MANY, SHARE, ROUGHLY = 2**15, 16, 1e-3
"""Of so many rows, Newton's method begins where every sixteenth row alone would lead it, up to such a gradient."""


class LogisticRegression(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """Minimizes the weighted mean of the log-loss plus ``alpha / (2 * sum of weights) * |coef|**2``.

    That is scikit-learn's objective with ``C = 1 / alpha``, divided by C and the sum of weights. Two classes have one
    logit, more of them a softmax. Weights start at 0. A row on the boundary, of probability 0.5, is of the first class.

    Args:
        solver: ``newton`` (Newton's method with a backtracking line search), ``gradient_descent`` over all rows, or
            ``mini_batch`` (each epoch visits the rows in a new order; a row of weight 3 is visited three times).
        alpha: the penalty on squared weights, at least 0; the intercepts have none.
        learning_rate: of the two descents, or ``auto`` for one over a bound of the largest curvature.
        max_iter: steps, or epochs of mini-batches, at most.
        batch_size: rows of a mini-batch; the last of an epoch is smaller.
        tol: newton and gradient_descent stop when no entry of the gradient is larger; 0 takes all steps of a descent.
        fit_intercept: whether there are intercepts.
        class_weight: factors of the rows' weights as in scikit-learn: a dict from class to factor, or ``balanced``.
        random_state: seed or generator of the mini-batches.

    Attributes:
        classes_: [k] labels in order.
        coef_: [1, d] of two classes, else [k, d].
        intercept_: [1] or [k].
        cost_history_: the objective before each step (epoch) and after the last.
        n_iter_: [1] steps or epochs taken.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "solver": [StrOptions({"newton", "gradient_descent", "mini_batch"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate": LEARNING_RATE,
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        solver: Literal["newton", "gradient_descent", "mini_batch"] = "newton",
        alpha: NonNegativeFloat = 1.0,
        learning_rate: PositiveFloat | Literal["auto"] = "auto",
        max_iter: PositiveInt = 1000,
        batch_size: PositiveInt = 32,
        tol: NonNegativeFloat = 1e-8,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
    ):
        self.solver = solver
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, on_epoch: OnEpoch | None = None) -> Self:
        """Fit to rows X [n, d], dense or sparse, and labels y [n]; the two descents report their steps or epochs.

        Raises:
            ValueError: there is one class only, something is not finite or does not fit, or a descent diverges.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        weights, [X, y] = counted(row_weights(sample_weight, len(y)), X, y)
        self.classes_, codes = encoded(y, least=2)
        weights = weights * class_weights(self.class_weight, y)
        goal = objective(X, codes, len(self.classes_), weights, self.alpha, self.fit_intercept)
        w, self.cost_history_ = self._solve(goal, X, weights, on_epoch)
        self.n_iter_ = np.array([max(1, len(self.cost_history_) - 1)])
        self.coef_ = w[goal.intercepts :].T.copy()
        self.intercept_ = w[0].copy() if self.fit_intercept else np.zeros(w.shape[1])
        return self

    def _solve(self, goal: Objective, X: Any, weights: Array, on_epoch: OnEpoch | None) -> tuple[Array, list[float]]:
        start = np.zeros((goal.design.shape[1], goal.targets.shape[1]))
        if self.solver == "newton":
            if len(weights) >= MANY:
                start, _ = newton(goal.every(SHARE), start, self.max_iter, ROUGHLY)
            return newton(goal, start, self.max_iter, self.tol)
        rate = self.learning_rate
        if rate == "auto":
            steepest = largest_curvature(X, weights, self.fit_intercept) / (4 if goal.targets.shape[1] == 1 else 2)
            rate = 1 / max(steepest + goal.ridge, np.finfo(float).tiny)
        if self.solver == "gradient_descent":
            return descend(goal.__call__, start, rate, self.max_iter, self.tol, on_epoch)
        order = visits(content_order(goal.design, goal.targets), weights)
        rng = check_random_state(self.random_state)
        return _by_mini_batches(goal, start, rate, order, self.batch_size, self.max_iter, rng, on_epoch)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities [n, k] of the classes for rows X [n, d]."""
        z = self.decision_function(X)
        return np.stack([sigmoid(-z), sigmoid(z)], axis=1) if z.ndim == 1 else softmax(z)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities [n, k] for rows X [n, d], -inf where one is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def newton(goal: Objective, w: Array, max_iter: int, tol: float) -> tuple[Array, list[float]]:
    """Minimize by Newton's method, each step halved until it lowers the cost enough (Nocedal & Wright, 2nd ed., ch. 3).

    Second derivatives serve again as long as a step with them makes the gradient ten times smaller (Kelley, Iterative
    Methods for Linear and Nonlinear Equations, section 5.4.3).

    Returns:
        the weights [d, k], and the costs before each step and after the last.
    """
    value, gradient, p = goal.evaluate(w)
    costs, largest = [value], np.abs(gradient).max()
    inverse = _inverse_curvature(goal, p, largest)
    while largest > tol:
        if len(costs) > max_iter:
            warnings.warn(f"not converged after max_iter={max_iter} steps; raise it", ConvergenceWarning, stacklevel=2)
            break
        direction = -inverse(gradient)
        size, (found, slope, p) = _step(goal, w, direction, value, float(np.vdot(gradient, direction)))
        if found >= value:  # rounding is larger than what is left to gain
            break
        before, largest = largest, np.abs(slope).max()
        w, value, gradient = w + size * direction, found, slope
        costs.append(value)
        if tol < largest > before / 10:
            inverse = _inverse_curvature(goal, p, largest)
    return w, costs


SMALLEST = 2.0**-40


def _step(
    goal: Objective, w: Array, direction: Array, value: float, slope: float
) -> tuple[float, tuple[float, Array, Array]]:
    """Return the share of `direction` that lowers the cost enough, and the evaluation there."""
    size = 1.0
    found = goal.evaluate(w + direction)
    while not found[0] <= value + 1e-4 * size * slope and size > SMALLEST:
        size /= 2
        found = goal.evaluate(w + size * direction)
    return size, found


def _inverse_curvature(goal: Objective, p: Array, largest: float) -> Callable[[Array], Array]:
    """Return the product of the inverse second derivatives with a gradient [d, k], where the probabilities are `p`."""
    shape = goal.design.shape[1], p.shape[1]
    size = shape[0] * shape[1]
    if size <= DIRECT:
        curvature = goal.curvature(p)
        # Where the data lie in fewer dimensions, a little curvature in the others keeps the step out of them.
        curvature[np.diag_indices(size)] += 1e-12 * curvature.trace() / size + np.finfo(float).tiny
        factor = cho_factor(curvature)
        return lambda gradient: np.asarray(cho_solve(factor, gradient.T.ravel())).reshape(shape[::-1]).T
    operator = LinearOperator(
        (size, size), matvec=lambda v: goal.curvature_along(p, v.reshape(shape)).ravel(), dtype=np.float64
    )
    enough = min(0.1, float(np.sqrt(largest)))
    return lambda gradient: np.asarray(cg(operator, gradient.ravel(), rtol=enough, maxiter=1000)[0]).reshape(shape)


def _by_mini_batches(
    goal: Objective,
    w: Array,
    rate: float,
    rows: Array,
    batch_size: int,
    epochs: int,
    rng: Any,
    on_epoch: OnEpoch | None,
) -> tuple[Array, list[float]]:
    """Step against the gradient of one batch after the other; return the weights and the costs of the epochs."""
    costs = [goal(w)[0]]
    for epoch in range(epochs):
        order = rng.permutation(rows)
        for i in range(0, len(order), batch_size):
            batch = order[i : i + batch_size]
            shares = np.full((len(batch), 1), 1 / len(batch))
            part = goal._replace(design=goal.design[batch], targets=goal.targets[batch], shares=shares)
            w = w - rate * part(w)[1]
        costs.append(goal(w)[0])
        require_finite(costs[-1], epoch + 1, rate)
        report_epoch(on_epoch, epoch + 1, epochs, cost=costs)
    return w, costs
