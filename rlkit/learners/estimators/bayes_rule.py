"""What naive Bayes classifiers share: Bayes' rule, and sums of logarithms some of which may be minus infinity."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted, validate_data

from rlkit.core.types import Array
from rlkit.learners.estimators.classes import codes_among, encoded
from rlkit.learners.estimators.rows import row_weights


class NaiveBayes(ClassifierMixin, BaseEstimator):
    """Adds up what classes have in common with a row: log prior plus log-likelihoods of features."""

    takes_sparse: ClassVar[bool] = True

    priors: Any
    class_count_: Array

    def _validated(self, *data: Any, reset: bool) -> Any:
        accepted: Any = "csr" if self.takes_sparse else False
        return validate_data(self, *data, accept_sparse=accepted, dtype=np.float64, reset=reset)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X [n, d] and labels y [n].

        Raises:
            ValueError: something is not finite or does not fit together, or counts are negative.
        """
        X, y = self._validated(X, y, reset=True)
        weights = row_weights(sample_weight, len(y))
        self.classes_, codes = encoded(y)
        self._start()
        self._add(X, codes, weights)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Add rows X [n, d] and labels y [n] to those before; in any parts they lead to what `fit` does with all.

        Args:
            X: as for `fit`.
            y: labels among `classes`.
            classes: all labels that there will be, needed in the first call.
            sample_weight: [n].

        Raises:
            ValueError: `classes` is missing or another than before, or something does not fit together.
        """
        first = _check_partial_fit_first_call(self, classes)
        X, y = self._validated(X, y, reset=first)
        weights = row_weights(sample_weight, len(y))
        codes = codes_among(y, self.classes_)
        if first:
            self._start()
        self._add(X, codes, weights)
        return self

    def _start(self) -> None:
        """Forget all rows."""
        raise NotImplementedError

    def _add(self, X: Any, codes: Array, weights: Array) -> None:
        """Learn from rows [n, d] of the classes `codes` [n]."""
        raise NotImplementedError

    def _joint(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of the rows and the classes together, up to a number for each row."""
        raise NotImplementedError

    def _log_prior(self) -> Array:
        """Return the logarithms [k] of the classes' shares of the weight, or of what `priors` says."""
        given = self.priors is not None
        shares = _checked_priors(self.priors, len(self.classes_)) if given else self.class_count_
        with np.errstate(divide="ignore"):
            return np.log(shares if given else shares / shares.sum())

    def predict_joint_log_proba(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of the rows X [n, d] and the classes together."""
        check_is_fitted(self)
        return self._joint(self._validated(X, reset=False))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of the classes for rows X [n, d]; those of a row as `predict` says."""
        joint = self._possible(X)
        return np.asarray(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities [n, k] of the classes for rows X [n, d]."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> Array:
        """Return the most probable classes [n] for rows X [n, d]; of equally probable ones the first.

        A row that no class can have, which there is without smoothing, says nothing: then the priors alone count.
        """
        best = np.argmax(self._possible(X), axis=1)
        return np.asarray(self.classes_[best])

    def _possible(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of rows and classes, or the priors where all are minus infinity."""
        joint = self.predict_joint_log_proba(X)
        excluded = np.isneginf(joint).all(axis=1)
        joint[excluded] = self._log_prior()
        return joint

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.takes_sparse
        return tags


def without_words(logs: Array) -> Array:
    """Return logarithms [k, d] in which a class that never had a word, 0 of 0, excludes every word."""
    return np.where(np.isnan(logs), -np.inf, logs)


def products(X: Any, logs: Array) -> Array:
    """Return the sums [n, k] of X [n, d] times logarithms [k, d]; what is not there excludes nothing.

    Without smoothing some are minus infinity, which 0 times is no number.
    """
    never = np.isneginf(logs)
    if not never.any():
        return np.asarray(X @ logs.T)
    sums = np.asarray(X @ np.where(never, 0, logs).T)
    sums[X @ never.T.astype(float) > 0] = -np.inf
    return sums


def class_sums(X: Any, codes: Array, weights: Array, classes: int) -> Array:
    """Return the weighted sums [k, d] of the rows X [n, d] of each class."""
    rows = np.arange(len(codes))
    sums = sparse.csr_array((weights, (codes, rows)), shape=(classes, len(codes))) @ X
    return np.asarray(sums.toarray() if sparse.issparse(sums) else sums)


def _checked_priors(priors: Any, classes: int) -> Array:
    found = np.asarray(priors, np.float64)
    if found.shape != (classes,):
        raise ValueError(f"priors has shape {found.shape}; give one for each of the {classes} classes")
    if found.min() < 0 or not np.isclose(found.sum(), 1):
        raise ValueError(f"priors sum to {found.sum():g}; give probabilities that sum to 1")
    return found
