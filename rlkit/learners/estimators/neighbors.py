"""Recommenders without a model: of similar users, of similar items, and of what is popular.

Missing ratings are as in `factorization`: what a sparse matrix does not store, `missing` in a dense one.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, check_is_fitted

from rlkit.core.ranges import PositiveInt, Range
from rlkit.core.types import Array
from rlkit.learners.estimators.recommending import CHUNK, Recommender, ratings_of
from rlkit.learners.estimators.settings import choose, require

PREDICTIONS = {"sum": False, "mean": True}
"""Whether predictions are divided by the sum of the similarities."""


def _as_they_are(ratings: Any) -> Any:
    return ratings


def _ones(ratings: Any) -> Any:
    """Return a matrix with 1 for each rating."""
    return sparse.csr_array((np.ones(ratings.nnz), ratings.indices, ratings.indptr), shape=ratings.shape)


def _centred(ratings: Any) -> Any:
    """Return each rating less the mean of its user's."""
    counts = np.diff(ratings.indptr)
    means = np.repeat(ratings.sum(1) / np.maximum(counts, 1), counts)
    return sparse.csr_array((ratings.data - means, ratings.indices, ratings.indptr), shape=ratings.shape)


SIMILARITIES = {"cosine": _as_they_are, "binary_cosine": _ones, "adjusted_cosine": _centred}
"""What is done to ratings before their rows or columns are compared by the cosine."""


class NeighborsRecommender(Recommender):
    """What user- and item-based recommenders share: arguments, and sums of ratings weighted by similarities."""

    def __init__(
        self,
        n_neighbors: PositiveInt | None = 100,
        *,
        similarity: str = "cosine",
        prediction: str = "sum",
        missing: Annotated[float, Range(or_nan=True)] = 0.0,
    ):
        """Keep the arguments.

        Args:
            n_neighbors: how many of the most similar ones count; None: all. Only positive similarities count.
            similarity: cosine, of rows or columns with missing ratings as 0; binary_cosine, with every rating as 1;
                adjusted_cosine, of ratings less the mean of their user's (Sarwar et al., 2001).
            prediction: sum, of ratings times similarities, which ranks by how much speaks for an item; or mean, the
                weighted one of the ratings that there are, which is on their scale, and 0 where there are none.
            missing: what says in a dense matrix that there is no rating: a number or NaN.
        """
        self.n_neighbors = n_neighbors
        self.similarity = similarity
        self.prediction = prediction
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from ratings X [U, I], dense or sparse; `y` is ignored.

        Raises:
            SettingError: an argument of the constructor that cannot be.
        """
        prepare = choose("similarity", self.similarity, SIMILARITIES)
        choose("prediction", self.prediction, PREDICTIONS)
        if self.n_neighbors is not None:
            require(self.n_neighbors >= 1, "n_neighbors", self.n_neighbors, "at least 1, or None for all")
        self.ratings_ = self._ratings(X, reset=True)
        self._learn(prepare(self.ratings_))
        return self

    def _learn(self, prepared: Any) -> None:
        raise NotImplementedError

    def _predicted(self, total: Any, similarities: Any) -> Array:
        """Return weighted sums [B, I] as an array, or means with the sums of the similarities that went into them."""
        if not PREDICTIONS[self.prediction]:
            return np.asarray(total.toarray())
        sums, sizes = total.toarray(), similarities().toarray()
        return np.asarray(np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0))


class UserKNNRecommender(NeighborsRecommender):
    """What similar users rated (Resnick et al., 1994).

    `transform` gives the similarities [B, U] of the nearest users, sparse; a user who was fitted is the nearest to
    itself, which adds to what it has rated only.

    Attributes:
        directions_: `csr_array` [U, I] of the rows that users are compared by, of length 1.
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    def _learn(self, prepared: Any) -> None:
        self.directions_ = _unit_rows(prepared)
        self._n_features_out = prepared.shape[0]

    def _represent(self, ratings: Any) -> Any:
        rows = _unit_rows(SIMILARITIES[self.similarity](ratings))
        return _nearest(rows, self.directions_, self.n_neighbors)

    def inverse_transform(self, X: Any) -> Array:
        """Return predicted ratings [B, I] float64 of users as similarities [B, U] to those that were fitted."""
        check_is_fitted(self)
        weights = sparse.csr_array(check_array(X, accept_sparse="csr", dtype=np.float64))
        return self._predicted(weights @ self.ratings_, lambda: weights @ _ones(self.ratings_))


class ItemKNNRecommender(NeighborsRecommender):
    """Items similar to those that the user rated (Sarwar et al., 2001).

    `transform` gives the users' ratings [B, I], sparse: a user is what it has rated.

    Attributes:
        similarity_: `csr_array` [I, I]; column i holds the similarities of the items nearest to i.
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    def _learn(self, prepared: Any) -> None:
        columns = _unit_rows(prepared.T.tocsr())
        self.similarity_ = _nearest(columns, columns, self.n_neighbors, own=False).T.tocsr()
        self._n_features_out = prepared.shape[1]

    def _represent(self, ratings: Any) -> Any:
        return ratings

    def inverse_transform(self, X: Any) -> Array:
        """Return predicted ratings [B, I] float64 of users as ratings [B, I], dense or sparse."""
        check_is_fitted(self)
        ratings = ratings_of(check_array(X, accept_sparse="csr", ensure_all_finite=False), self.missing)
        return self._predicted(ratings @ self.similarity_, lambda: _ones(ratings) @ self.similarity_)


class Popularity(Recommender):
    """The same for every user: a baseline. `transform` gives a column of ones [B, 1].

    Attributes:
        popularity_: [I] float64.
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    def __init__(self, by: str = "count", *, missing: float = 0.0):
        """Keep the arguments.

        Args:
            by: count of ratings, their sum, or their mean (0 without any).
            missing: what says in a dense matrix that there is no rating: a number or NaN.
        """
        self.by = by
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from ratings X [U, I], dense or sparse; `y` is ignored.

        Raises:
            SettingError: another `by`.
        """
        choose("by", self.by, {"count": None, "sum": None, "mean": None})
        self.ratings_ = self._ratings(X, reset=True)
        counts, sums = _ones(self.ratings_).sum(0), self.ratings_.sum(0)
        self.popularity_ = {"count": counts, "sum": sums, "mean": sums / np.maximum(counts, 1)}[self.by]
        self._n_features_out = 1
        return self

    def _represent(self, ratings: Any) -> Array:
        return np.ones((ratings.shape[0], 1))

    def inverse_transform(self, X: Any) -> Array:
        """Return the items' popularity times the numbers X [B, 1], [B, I] float64."""
        check_is_fitted(self)
        return np.asarray(check_array(X, dtype=np.float64) * self.popularity_)


def _unit_rows(matrix: Any) -> Any:
    """Divide rows by their length, those of zeros aside."""
    lengths = np.sqrt(matrix.multiply(matrix).sum(1))
    scaled = matrix.data / np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    return sparse.csr_array((scaled, matrix.indices, matrix.indptr), shape=matrix.shape)


def _nearest(rows: Any, others: Any, k: int | None, *, own: bool = True) -> Any:
    """Return the `k` largest products of each row with the `others`, as far as they are positive, as a `csr_array`.

    Args:
        rows: `csr_array` [B, I].
        others: `csr_array` [N, I].
        k: None for all.
        own: row b may be its own neighbor b.
    """
    across, parts = others.T.tocsc(), []
    for start in range(0, rows.shape[0], CHUNK):
        products = (rows[start : start + CHUNK] @ across).tocoo()
        kept = (products.data > 0) & (own | (products.row + start != products.col))
        pairs = (products.data[kept], (products.row[kept], products.col[kept]))
        parts.append(_largest(sparse.csr_array(pairs, shape=products.shape), k))
    return sparse.vstack(parts, format="csr")


def _largest(matrix: Any, k: int | None) -> Any:
    """Keep the `k` largest numbers of each row, of equal ones those that come first."""
    if k is None:
        return matrix
    kept = np.zeros(matrix.nnz, bool)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        kept[start + np.argsort(-matrix.data[start:stop], kind="stable")[:k]] = True
    ends = np.concatenate(([0], np.cumsum(kept)))[matrix.indptr]
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)
