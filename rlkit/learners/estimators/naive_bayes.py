"""Naive Bayes classifiers (Manning, Raghavan & Schütze, Introduction to Information Retrieval, chapter 13)."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_non_negative

from rlkit.core.ranges import NonNegativeFloat
from rlkit.core.types import Array
from rlkit.learners.estimators.bayes_rule import NaiveBayes, class_sums, products, without_words


class _CountingBayes(NaiveBayes):
    """Of features that are counted in each class."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, np.inf, closed="left")],
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
            logs = np.log(smoothed) - np.log(smoothed.sum(axis=1, keepdims=True))
        self.feature_log_prob_ = without_words(logs)

    def _joint(self, X: Any) -> Array:
        return np.asarray(products(X, self.feature_log_prob_) + self.class_log_prior_)

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
            logs = np.log(self.feature_count_ + self.alpha) - np.log(self.class_count_[:, None] + 2 * self.alpha)
        self.feature_log_prob_ = without_words(logs)

    def _present(self, X: Any) -> Any:
        """Return zeros and ones.

        Raises:
            ValueError: `binarize` would make a sparse matrix dense, or is None where X is something else.
        """
        if self.binarize is None:
            if X.shape[0] and not 0 <= X.min() <= X.max() <= 1:
                raise ValueError(f"X goes from {X.min():g} to {X.max():g}; with binarize=None it is from 0 to 1")
            return X
        if sparse.issparse(X) and self.binarize < 0:
            raise ValueError(f"binarize={self.binarize:g} would fill a sparse X; it is at least 0, or give a dense X")
        return (self.binarize < X).astype(np.float64)

    def _joint(self, X: Any) -> Array:
        present, there = self._present(X), self.feature_log_prob_
        with np.errstate(divide="ignore"):
            absent = np.log1p(-np.minimum(np.exp(there), 1))
        never, always = np.isneginf(there), np.isneginf(absent)
        if not never.any() and not always.any():
            constant = self.class_log_prior_ + absent.sum(axis=1)
            return np.asarray(present @ (there - absent).T + constant)
        there, absent = np.where(never, 0, there), np.where(always, 0, absent)
        joint = np.asarray(present @ (there - absent).T + self.class_log_prior_ + absent.sum(axis=1))
        # How many features a row has that the class never had, and lacks that the class always had.
        excluding = present @ (never.astype(float) - always).T + always.sum(axis=1)
        joint[excluding > 0] = -np.inf
        return joint

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


SMALLEST = 1e-300
"""What keeps the variance of features that never vary from being 0."""


class GaussianNB(NaiveBayes):
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
        "var_smoothing": [Interval(Real, 0, np.inf, closed="left")],
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
        parts = zip(constant, self.theta_, self.var_, strict=True)
        with np.errstate(over="ignore"):
            return np.stack([c - 0.5 * ((X - m) ** 2 @ (1 / v)) for c, m, v in parts], axis=1)
