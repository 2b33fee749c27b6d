"""Ratings as pairs of users and items, with items that were not rated among them, and factors that fit them best."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.factor_kernels import predictions, unrated
from rlkit.learners.estimators.recommending import users_of


class Factors(NamedTuple):
    """U users and I items as K numbers each, and their biases."""

    users: Array  # [U, K]
    items: Array  # [I, K]
    user_biases: Array  # [U]
    item_biases: Array  # [I]

    def at(self, users: Array, items: Array) -> Array:
        """Return predictions [R], less the mean, of pairs."""
        return predictions(users, items, *self)


class CenteredRatings(NamedTuple):
    """R ratings less their mean, in the order of users."""

    users: Array  # [R] int64
    items: Array  # [R] int64, in order where they are of one user
    ratings: Array  # [R] float64
    shape: tuple[int, int]

    @classmethod
    def of(cls, ratings: Any, mean: float) -> CenteredRatings:
        """Return those of a `csr_array`."""
        return cls(users_of(ratings), ratings.indices.astype(np.int64), ratings.data - mean, ratings.shape)

    def turned(self) -> CenteredRatings:
        """Return the same with users and items exchanged."""
        order = np.argsort(self.items, kind="stable")
        return CenteredRatings(
            self.items[order], self.users[order], self.ratings[order], (self.shape[1], self.shape[0])
        )

    def with_unrated(self, number: int, rating: float, rng: np.random.Generator) -> CenteredRatings:
        """Return these and, for each of them, so many items that the user has not rated, which get `rating`.

        A user who has rated all items gets none.
        """
        users = np.repeat(self.users, number)
        items = unrated(self.ends(), self.items, self.shape[1], number, rng)
        users, items = users[items >= 0], items[items >= 0]
        order = np.argsort(np.concatenate((self.users, users)), kind="stable")
        columns = (self.users, users), (self.items, items), (self.ratings, np.full(len(items), rating))
        together = [np.concatenate(column)[order] for column in columns]
        return CenteredRatings(together[0], together[1], together[2], self.shape)

    def ends(self) -> Array:
        """Return where the ratings of each user begin and end, [U + 1] int64."""
        return np.concatenate(([0], np.cumsum(np.bincount(self.users, minlength=self.shape[0]))))

    def rmse(self, factors: Factors) -> float:
        """Return the root of the mean squared error; 0 without ratings."""
        errors = self.ratings - factors.at(self.users, self.items)
        return sqrt(errors @ errors / max(len(errors), 1))


def solved(
    pairs: CenteredRatings,
    factors: Array,
    biases: Array,
    decay: float,
    biased: bool,
    negatives: int = 0,
    unrated: float = 0.0,
) -> Array:
    """Return the best rows [U, K + 1], bias last, or [U, K] for the given factors [I, K] and biases [I] of items.

    One without ratings is 0. Without regularization, where many may be as good, the shortest are taken.

    Args:
        pairs: the ratings of U users.
        factors: [I, K] of the items.
        biases: [I] of the items.
        decay: the regularization, for each rating and each negative.
        biased: users have biases.
        negatives: as many of a user's ratings, spread over the items that the user has not rated, are of `unrated`
            (all items at once, as in Hu, Koren & Volinsky, 2008).
        unrated: 0 less the mean.
    """
    ends, targets = pairs.ends(), pairs.ratings - biases[pairs.items]
    factors = with_ones(factors, biased)
    absent = factors.T @ factors, factors.T @ (unrated - biases)
    rows = np.zeros((pairs.shape[0], factors.shape[1]))
    for row, start, stop in zip(rows, ends[:-1], ends[1:], strict=True):
        if start == stop:
            continue
        chosen, count, left = pairs.items[start:stop], stop - start, len(factors) - (stop - start)
        rated, target = factors[chosen], targets[start:stop]
        matrix, wanted = rated.T @ rated, rated.T @ target
        if negatives and left:
            share = negatives * count / left
            matrix = matrix + share * (absent[0] - matrix)
            wanted = wanted + share * (absent[1] - rated.T @ (unrated - biases[chosen]))
            count *= 1 + negatives
        if decay:
            row[:] = np.linalg.solve(matrix + decay * count * np.eye(len(matrix)), wanted)
        else:
            system, right = (matrix, wanted) if negatives else (rated, target)
            row[:] = np.linalg.lstsq(system, right, rcond=None)[0]
    return rows


def with_ones(factors: Array, biased: bool) -> Array:
    """Return a copy of factors [I, K], with a column of ones where there are biases."""
    return np.column_stack((factors, np.ones((len(factors), int(biased)))))
