"""The logistic loss of logits, its slope and its curvature (Bishop, Pattern Recognition, sections 4.3.2 to 4.3.4)."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit

from rlkit.core.types import Array
from rlkit.learners.estimators.classes import one_hot


def sigmoid(z: Any) -> Array:
    """Return ``1 / (1 + exp(-z))`` [...] without overflow for any z [...]."""
    return expit(z)


def logistic_loss(z: Any, y: Any) -> Array:
    """Return ``-(y ln sigmoid(z) + (1 - y) ln(1 - sigmoid(z)))`` [...] from logits z [...], finite for any finite z."""
    z = np.asarray(z, np.float64)
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


def softmax(z: Array) -> Array:
    """Return the probabilities [..., k] of logits [..., k], without overflow."""
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def softmax_loss(z: Array, y: Array) -> tuple[Array, Array]:
    """Return ``-ln`` of the probability [n] of the targets y [n, k], one-hot, and all probabilities [n, k]."""
    z = z - z.max(axis=1, keepdims=True)
    powers = np.exp(z)
    total = powers @ np.ones(z.shape[1])
    return np.log(total) - np.einsum("nk,nk->n", z, y), powers / total[:, None]


class Objective(NamedTuple):
    """The weighted mean of the loss over rows, plus ``ridge / 2 * |w|**2`` without the intercepts.

    Weights are [d, k]: one column of a binary model (the logit of class 1), else one for each class.
    """

    design: Any  # [n, d] dense or sparse, with the column of ones first where there is an intercept
    targets: Array  # [n, k] of zeros and ones
    shares: Array  # [n, 1] weights of the rows, whose sum is 1
    ridge: float
    intercepts: int  # rows of the weights without a penalty, 0 or 1

    def __call__(self, w: Array, /) -> tuple[float, Array]:
        """Return the value at the weights [d, k], and its gradient."""
        return self.evaluate(w)[:2]

    def evaluate(self, w: Array) -> tuple[float, Array, Array]:
        """Return the value at the weights [d, k], its gradient, and the probabilities [n, k] of the targets."""
        z = self.design @ w
        if z.shape[1] == 1:
            loss, p = logistic_loss(z, self.targets)[:, 0], sigmoid(z)
        else:
            loss, p = softmax_loss(z, self.targets)
        value, slope = float(self.shares[:, 0] @ loss), self.design.T @ (self.shares * (p - self.targets))
        if self.ridge:
            penalized = self._penalized(w)
            value += self.ridge / 2 * float(np.vdot(penalized, penalized))
            slope += self.ridge * penalized
        return value, slope, p

    def every(self, stride: int) -> Objective:
        """Return the objective of every so many rows."""
        shares = self.shares[::stride]
        shares = shares / max(shares.sum(), np.finfo(float).tiny)
        return self._replace(design=self.design[::stride], targets=self.targets[::stride], shares=shares)

    def _penalized(self, w: Array) -> Array:
        penalized = w.copy()
        penalized[: self.intercepts] = 0
        return penalized

    def curvature_along(self, p: Array, direction: Array) -> Array:
        """Return the second derivatives [d, k] along a direction [d, k], where the probabilities are `p`."""
        moved = p * (self.design @ direction)
        moved -= p * moved.sum(axis=1, keepdims=True)
        return self.design.T @ (self.shares * moved) + self.ridge * self._penalized(direction)

    def curvature(self, p: Array) -> Array:
        """Return all second derivatives [k * d, k * d], class by class, where the probabilities are `p`.

        Equal changes of all classes change no probability; so that there is one solution all the same, such changes
        get a curvature of their own, along which no gradient points.
        """
        size, k = self.design.shape[1], p.shape[1]
        found = np.zeros((k, size, k, size))
        if k == 1:
            found[0, :, 0] = self._weighted_squares(self.shares[:, 0] * p[:, 0] * (1 - p[:, 0]))
        for i, j in combinations(range(k), 2):
            squares = self._weighted_squares(self.shares[:, 0] * p[:, i] * p[:, j])
            found[i, :, i] += squares
            found[j, :, j] += squares
            found[i, :, j] = found[j, :, i] = -squares
        whole = found.reshape(k * size, k * size)
        penalty = np.full((k, size), self.ridge)
        penalty[:, : self.intercepts] = 0
        whole[np.diag_indices(len(whole))] += penalty.ravel()
        if k > 1:
            found[:, np.arange(size), :, np.arange(size)] += whole.trace() / len(whole)
        return whole

    def _weighted_squares(self, weights: Array) -> Array:
        """Return ``design' diag(weights) design`` of weights [n] >= 0, by blocks that stay in the processor's cache."""
        if sparse.issparse(self.design):
            return np.asarray((self.design.T @ sparse.csr_array(self.design.multiply(weights[:, None]))).toarray())
        found = np.zeros((self.design.shape[1],) * 2)
        roots = np.sqrt(weights)[:, None]
        for i in range(0, len(weights), BLOCK):
            rows = self.design[i : i + BLOCK] * roots[i : i + BLOCK]
            found += rows.T @ rows
        return found


BLOCK = 1024


def objective(
    X: Any,
    codes: Array,
    classes: int,
    weights: Array,
    alpha: float,
    fit_intercept: bool,
) -> Objective:
    """Return the objective of rows X [n, d] whose classes are `codes` [n]."""
    if fit_intercept:
        ones = np.ones((X.shape[0], 1))
        X = sparse.csr_array(sparse.hstack([ones, X])) if sparse.issparse(X) else np.hstack([ones, X])
    targets = codes[:, None].astype(np.float64) if classes == 2 else one_hot(codes, classes)
    total = weights.sum()
    return Objective(X, targets, weights[:, None] / total, alpha / total, int(fit_intercept))
