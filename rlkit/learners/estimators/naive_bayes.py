"""Naive Bayes classifiers (Manning, Raghavan & Schütze, Introduction to Information Retrieval, chapter 13)."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from rlkit.core.ranges import NonNegativeFloat
from rlkit.core.types import Array
from rlkit.learners.estimators.classes import codes_among, encoded
from rlkit.learners.estimators.rows import row_weights


class _NaiveBayes(ClassifierMixin, BaseEstimator):
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
        if self.priors is not None:
            return np.log(_checked_priors(self.priors, len(self.classes_)))
        with np.errstate(divide="ignore"):
            return np.log(self.class_count_ / self.class_count_.sum())

    def predict_joint_log_proba(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of the rows X [n, d] and the classes together."""
        check_is_fitted(self)
        return self._joint(self._validated(X, reset=False))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the log-probabilities [n, k] of the classes for rows X [n, d]."""
        joint = self.predict_joint_log_proba(X)
        return np.asarray(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities [n, k] of the classes for rows X [n, d]."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> Array:
        """Return the most probable classes [n] for rows X [n, d]; of equally probable ones the first."""
        joint = self.predict_joint_log_proba(X)
        return np.asarray(self.classes_[np.argmax(joint, axis=1)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.takes_sparse
        return tags


class _CountingBayes(_NaiveBayes):
    """Of features that are counted in each class."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "priors": ["array-like", None],
    }

    alpha: float
    feature_count_: Array

    def _start(self) -> None:
        self.class_count_ = np.zeros(len(self.classes_))
        self.feature_count_ = np.zeros((len(self.classes_), self.n_features_in_))

    def _count(self, X: Any, codes: Array, weights: Array) -> None:
        self.class_count_ += np.bincount(codes, weights, len(self.classes_))
        self.feature_count_ += class_sums(X, codes, weights, len(self.classes_))
        self.class_log_prior_ = self._log_prior()


class MultinomialNB(_CountingBayes):
    """Rows of counts, e.g. of words in a document: in each class every word has a probability.

    ``P(word | class) = (count(word, class) + alpha) / (words in class + alpha * d)``.

    Args:
        alpha: what is added to the counts; 1 is Laplace's rule, with 0 a word that a class never had excludes it.
        priors: probabilities [k] of the classes; None for their shares of the rows' weight.

    Attributes:
        classes_: [k] labels in order.
        class_count_: [k] weights of the classes' rows.
        feature_count_: [k, d] weighted sums of the classes' rows.
        class_log_prior_: [k].
        feature_log_prob_: [k, d].
    """

    def __init__(self, alpha: NonNegativeFloat = 1.0, priors: Any = None):
        self.alpha = alpha
        self.priors = priors

    def _add(self, X: Any, codes: Array, weights: Array) -> None:
        check_non_negative(X, "MultinomialNB (input X)")
        self._count(X, codes, weights)
        smoothed = self.feature_count_ + self.alpha
        with np.errstate(divide="ignore", invalid="ignore"):
            self.feature_log_prob_ = np.log(smoothed) - np.log(smoothed.sum(axis=1, keepdims=True))

    def _joint(self, X: Any) -> Array:
        return np.asarray(X @ self.feature_log_prob_.T + self.class_log_prior_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.classifier_tags.poor_score = True
        return tags


class BernoulliNB(_CountingBayes):
    """Features that are there or not: in each class every one has a probability to be there.

    ``P(feature | class) = (rows with it + alpha) / (rows of the class + 2 * alpha)``; absent features count as well.

    Args:
        alpha: what is added to the counts of rows with and without the feature.
        binarize: a feature is there if it is larger; None where it is 0 or 1 already.
        priors: probabilities [k] of the classes; None for their shares of the rows' weight.

    Attributes:
        classes_, class_count_, class_log_prior_: as in `MultinomialNB`.
        feature_count_: [k, d] weights of the classes' rows with the feature.
        feature_log_prob_: [k, d] logarithms of the probabilities that the feature is there.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_CountingBayes._parameter_constraints,
        "binarize": [Real, None],
    }

    def __init__(self, alpha: NonNegativeFloat = 1.0, binarize: float | None = 0.0, priors: Any = None):
        self.alpha = alpha
        self.binarize = binarize
        self.priors = priors

    def _add(self, X: Any, codes: Array, weights: Array) -> None:
        self._count(self._present(X), codes, weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.feature_log_prob_ = np.log(self.feature_count_ + self.alpha) - np.log(
                self.class_count_[:, None] + 2 * self.alpha
            )

    def _present(self, X: Any) -> Any:
        """Return zeros and ones.

        Raises:
            ValueError: `binarize` would make a sparse matrix dense.
        """
        if self.binarize is None:
            return X
        if sparse.issparse(X) and self.binarize < 0:
            raise ValueError(f"binarize={self.binarize:g} would fill a sparse X; it is at least 0, or give a dense X")
        return (self.binarize < X).astype(np.float64)

    def _joint(self, X: Any) -> Array:
        absent = np.log1p(-np.exp(self.feature_log_prob_))
        constant = self.class_log_prior_ + absent.sum(axis=1)
        return np.asarray(self._present(X) @ (self.feature_log_prob_ - absent).T + constant)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


SMALLEST = 1e-300
"""What keeps the variance of features that never vary from being 0."""


class GaussianNB(_NaiveBayes):
    """Numbers that are normally distributed in each class, independently of each other.

    Args:
        var_smoothing: this share of the largest variance of a feature over all rows is added to every variance.
        priors: probabilities [k] of the classes; None for their shares of the rows' weight.

    Attributes:
        classes_: [k] labels in order.
        class_count_: [k] weights of the classes' rows.
        class_prior_: [k].
        theta_: [k, d] means.
        var_: [k, d] variances, smoothed.
        epsilon_: what was added to them.
    """

    takes_sparse: ClassVar[bool] = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "var_smoothing": [Interval(Real, 0, None, closed="left")],
        "priors": ["array-like", None],
    }

    def __init__(self, var_smoothing: NonNegativeFloat = 1e-9, priors: Any = None):
        self.var_smoothing = var_smoothing
        self.priors = priors

    def _start(self) -> None:
        shape = len(self.classes_), self.n_features_in_
        self.class_count_ = np.zeros(shape[0])
        self.theta_, self.var_ = np.zeros(shape), np.zeros(shape)
        self.epsilon_ = 0.0

    def _add(self, X: Array, codes: Array, weights: Array) -> None:
        self.var_ = np.maximum(self.var_ - self.epsilon_, 0)
        mass = np.bincount(codes, weights, len(self.classes_))
        divisor = np.maximum(mass, np.finfo(float).tiny)[:, None]
        means = class_sums(X, codes, weights, len(mass)) / divisor
        variances = class_sums((X - means[codes]) ** 2, codes, weights, len(mass)) / divisor
        self._merge(mass, means, variances)
        shares = self.class_count_ / self.class_count_.sum()
        spread = shares @ self.var_ + shares @ (self.theta_ - shares @ self.theta_) ** 2
        self.epsilon_ = max(self.var_smoothing * float(spread.max()), SMALLEST)
        self.var_ += self.epsilon_
        self.class_prior_ = np.exp(self._log_prior())

    def _merge(self, mass: Array, means: Array, variances: Array) -> None:
        """Pool what was known with new rows (Chan, Golub & LeVeque, 1979)."""
        total = self.class_count_ + mass
        share = np.divide(mass, total, out=np.zeros_like(total), where=total > 0)[:, None]
        gap = means - self.theta_
        self.theta_ += share * gap
        self.var_ += share * (variances - self.var_) + share * (1 - share) * gap**2
        self.class_count_ = total

    def _joint(self, X: Array) -> Array:
        constant = self._log_prior() - 0.5 * np.log(2 * np.pi * self.var_).sum(axis=1)
        return np.stack(
            [c - 0.5 * ((X - m) ** 2 @ (1 / v)) for c, m, v in zip(constant, self.theta_, self.var_, strict=True)],
            axis=1,
        )


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
