"""What recommenders share: ratings out of matrices, and recommendations out of predicted ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from rlkit.core.types import Array
from rlkit.learners.estimators.settings import require

CHUNK = 256
"""Users whose predicted ratings of all items are in memory at once."""


def ratings_of(matrix: Any, missing: float) -> Any:
    """Return the ratings of a matrix [users, items] as a `csr_array` of float64 with sorted indices.

    Args:
        matrix: dense, where `missing` says that there is no rating; or sparse, where what is not stored is missing
            and a stored 0 is a rating of 0.
        missing: a number or NaN.
    """
    if sparse.issparse(matrix):
        ratings = sparse.csr_array(matrix, dtype=np.float64, copy=True)
        ratings.sum_duplicates()
        return ratings
    rated = ~np.isnan(matrix) if np.isnan(missing) else matrix != missing
    rows, columns = np.nonzero(rated)
    ends = np.concatenate(([0], np.cumsum(rated.sum(1))))
    return sparse.csr_array((np.asarray(matrix, np.float64)[rows, columns], columns, ends), shape=matrix.shape)


def users_of(ratings: Any) -> Array:
    """Return the row [R] int64 of each rating of a `csr_array`."""
    return np.repeat(np.arange(ratings.shape[0]), np.diff(ratings.indptr))


class Recommender(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer of user x item matrices whose `inverse_transform` gives predicted ratings.

    Subclasses have the argument `missing`, learn with `_learn`, and represent users by `_represent`.

    Attributes:
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    missing: float
    ratings_: Any

    def transform(self, X: Any) -> Any:
        """Return users [B, K] as they are represented, known ones and new ones alike.

        Args:
            X: [B, I] their ratings, dense or sparse as in `fit`.
        """
        check_is_fitted(self)
        return self._represent(self._ratings(X, reset=False))

    def _represent(self, ratings: Any) -> Any:
        raise NotImplementedError

    def inverse_transform(self, X: Any) -> Array:
        """Return predicted ratings [B, I] float64 of represented users [B, K]."""
        raise NotImplementedError

    def recommend(self, users: Any, n: int = 10, *, exclude: Any = "seen") -> Array:
        """Return the items with the highest predicted ratings, the lower index first of equals.

        Args:
            users: [B] rows of the matrix that was fitted, or ratings [B, I] of any users, dense or sparse.
            n: how many.
            exclude: never recommended: "seen", what the user has rated; None, nothing; or a matrix [B, I], dense or
                sparse, of which what is not missing is left out.

        Returns:
            [B, n] int64 columns; -1 where fewer are left.

        Raises:
            SettingError: `n` is not positive, or `exclude` none of these.
        """
        check_is_fitted(self)
        require(n >= 1, "n", n, "at least 1")
        ratings = self._rows(users)
        excluded = self._excluded(exclude, ratings)
        found = np.full((ratings.shape[0], n), -1)
        for start in range(0, len(found), CHUNK):
            rows = slice(start, start + CHUNK)
            scores = np.array(self.inverse_transform(self._represent(ratings[rows])))
            if excluded is not None:
                scores[users_of(excluded[rows]), excluded[rows].indices] = -np.inf
            for row, score in zip(found[rows], scores, strict=True):
                best = _best(score, n)
                row[: len(best)] = best
        return found

    def _rows(self, users: Any) -> Any:
        """Return the ratings of what `recommend` was asked about."""
        if not sparse.issparse(users) and np.ndim(users) == 1:
            return self.ratings_[np.asarray(users)]
        return self._ratings(users, reset=False)

    def _excluded(self, exclude: Any, ratings: Any) -> Any:
        if exclude is None:
            return None
        if isinstance(exclude, str):
            require(exclude == "seen", "exclude", exclude, "seen, None or a matrix")
            return ratings
        excluded = ratings_of(check_array(exclude, accept_sparse="csr", ensure_all_finite=False), self.missing)
        require(excluded.shape == ratings.shape, "exclude's shape", excluded.shape, f"{ratings.shape}")
        return excluded

    def _ratings(self, X: Any, *, reset: bool) -> Any:
        """Return validated ratings, whose missing ones may be NaN where they are dense."""
        finite: Any = "allow-nan" if np.isnan(self.missing) and not sparse.issparse(X) else True
        options: dict[str, Any] = {"dtype": np.float64, "accept_sparse": "csr", "ensure_all_finite": finite}
        return ratings_of(validate_data(self, X, reset=reset, **options), self.missing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = bool(np.isnan(self.missing))
        return tags


def _best(score: Array, n: int) -> Array:
    """Return the columns of the `n` highest numbers that are not minus infinity, highest first."""
    if n < len(score):
        candidates = np.flatnonzero(score >= np.partition(score, len(score) - n)[len(score) - n])
    else:
        candidates = np.arange(len(score))
    candidates = candidates[score[candidates] > -np.inf]
    return candidates[np.argsort(-score[candidates], kind="stable")[:n]]
