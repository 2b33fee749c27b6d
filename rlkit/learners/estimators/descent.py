"""Descending a gradient over all rows, with the costs on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from rlkit.core.types import Array
from rlkit.learners.estimators.epochs import OnEpoch, report_epoch

Cost = Callable[[Array], tuple[float, Array]]
"""From weights to the cost and its gradient, of the weights' shape."""


def descend(
    cost: Cost, weights: Array, learning_rate: float, max_iter: int, tol: float, on_epoch: OnEpoch | None = None
) -> tuple[Array, list[float]]:
    """Step against the gradient up to `max_iter` times, or until none of its entries is larger than a `tol` above 0.

    Returns:
        the weights, of the shape [...] of `weights`, and the cost before each step and after the last one.

    Raises:
        ValueError: the costs grew beyond all bounds.
    """
    value, gradient = cost(weights)
    costs = [value]
    for step in range(max_iter):
        if tol and np.abs(gradient).max() <= tol:
            break
        weights = weights - learning_rate * gradient
        value, gradient = cost(weights)
        require_finite(value, step + 1, learning_rate)
        costs.append(value)
        report_epoch(on_epoch, step + 1, max_iter, cost=costs)
    return weights, costs


def require_finite(cost: float, steps: int, learning_rate: float) -> None:
    """Raise a ValueError if descending has diverged."""
    if not math.isfinite(cost):
        raise ValueError(
            f"the cost is {cost} after {steps} steps; learning_rate={learning_rate:g} is too large for these features: "
            "lower it, standardize them, or set learning_rate=auto"
        )


def largest_curvature(X: Any, weights: Array, fit_intercept: bool) -> float:
    """Return the largest eigenvalue of the mean of ``x x'`` over the rows X [n, d], dense or sparse, of `weights` [n].

    With `fit_intercept`, a column of ones is added to X.

    Least squares has this curvature, the logistic loss at most a quarter of it and the softmax loss half; a step of
    one over the curvature cannot overshoot.
    """
    share = np.sqrt(weights / weights.sum())[:, None]
    scaled = sparse.csr_array(X.multiply(share)) if sparse.issparse(X) else X * share
    if fit_intercept:
        scaled = sparse.hstack([scaled, share]) if sparse.issparse(X) else np.hstack([scaled, share])
    if min(scaled.shape) > 1 and sparse.issparse(scaled):
        return float(svds(scaled, k=1, return_singular_vectors=False, random_state=0)[0] ** 2)
    return float(np.linalg.norm(scaled.toarray() if sparse.issparse(scaled) else scaled, 2) ** 2)
