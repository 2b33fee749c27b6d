"""User x item matrices out of pairs, parts of them held out, and how good recommendations are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from rlkit.core.types import Array
from rlkit.learners.estimators.recommending import users_of
from rlkit.learners.estimators.settings import generator, require


class Interactions(NamedTuple):
    """A user x item matrix with what its rows and columns stand for."""

    matrix: Any  # csr_array [U, I] float64
    users: Array  # [U] ids, sorted
    items: Array  # [I] ids, sorted

    def rows(self, users: Any) -> Array:
        """Return the rows [B] int64 of ids of users.

        Raises:
            SettingError: one is not among them.
        """
        return _positions(self.users, users, "user")

    def columns(self, items: Any) -> Array:
        """Return the columns [B] int64 of ids of items.

        Raises:
            SettingError: one is not among them.
        """
        return _positions(self.items, items, "item")


def interactions(users: Any, items: Any, values: Any = None) -> Interactions:
    """Return the matrix of pairs; a value of 0 is stored, and so a rating.

    Args:
        users: [R] ids, numbers with gaps or names.
        items: [R] ids.
        values: [R]; None: 1 each.

    Raises:
        SettingError: lengths that differ, or a pair that comes twice.
    """
    user_ids, rows = np.unique(np.asarray(users), return_inverse=True)
    item_ids, columns = np.unique(np.asarray(items), return_inverse=True)
    numbers = np.ones(len(rows)) if values is None else np.asarray(values, np.float64)
    lengths = len(rows), len(columns), len(numbers)
    require(len(set(lengths)) == 1, "the length of users, items and values", lengths, "the same three times")
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    twice = np.flatnonzero((np.diff(rows) == 0) & (np.diff(columns) == 0))
    first = (user_ids[rows[twice[0]]], item_ids[columns[twice[0]]]) if len(twice) else None
    require(first is None, "a pair that comes twice", first, "there once; sum the values of equal pairs first")
    ends = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(user_ids)))))
    shape = (len(user_ids), len(item_ids))
    return Interactions(sparse.csr_array((numbers[order], columns, ends), shape=shape), user_ids, item_ids)


def leave_out(matrix: Any, *, per_user: int = 15, at_least: int = 35, random_state: Any = None) -> tuple[Any, Any]:
    """Return the matrix without some ratings of each user, and a matrix of the same shape with those.

    Args:
        matrix: `csr_array` [U, I].
        per_user: how many are left out, drawn without replacement.
        at_least: from users with as many ratings; the others keep theirs.
        random_state: None, an integer, a `RandomState` or a `Generator`.

    Raises:
        SettingError: users would have fewer than `per_user`.
    """
    require(0 <= per_user <= at_least, "per_user", per_user, f"from 0 to at_least, which is {at_least}")
    rng = generator(random_state)
    held_out = np.zeros(matrix.nnz, bool)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        if stop - start >= at_least:
            held_out[start + rng.choice(stop - start, per_user, replace=False)] = True
    return part(matrix, ~held_out), part(matrix, held_out)


def precision_at_k(recommended: Array, relevant: Any) -> float:
    """Return the share of the recommendations that are relevant, over the users who have something relevant.

    Args:
        recommended: [U, k] columns, best first; -1 is none, and a miss.
        relevant: `csr_array` [U, I] whose stored entries are relevant.
    """
    hits, counts = _hits(recommended, relevant)
    return float(hits.mean(1)[counts > 0].mean())


def recall_at_k(recommended: Array, relevant: Any) -> float:
    """Return the share of what is relevant to a user that is in `recommended` [U, k], over the users who have such.

    Arguments as in `precision_at_k`.
    """
    hits, counts = _hits(recommended, relevant)
    return float((hits.sum(1)[counts > 0] / counts[counts > 0]).mean())


def ndcg_at_k(recommended: Array, relevant: Any) -> float:
    """Return the discounted gain of `recommended` [U, k] over the best possible (Järvelin & Kekäläinen, 2002).

    A hit at rank r (from 1) counts ``1 / log2(r + 1)``. It is scikit-learn's `ndcg_score` of hits, which needs a score
    for every item of every user, a matrix that lists of k items make needless. Arguments as in `precision_at_k`.
    """
    hits, counts = _hits(recommended, relevant)
    discounts = 1 / np.log2(np.arange(2, recommended.shape[1] + 2))
    best = np.concatenate(([0.0], np.cumsum(discounts)))[np.minimum(counts, len(discounts))]
    return float((hits[counts > 0] @ discounts / best[counts > 0]).mean())


def _hits(recommended: Array, relevant: Any) -> tuple[Array, Array]:
    """Return which recommendations [U, k] are relevant, and how many items [U] are."""
    width = relevant.shape[1]
    wanted = users_of(relevant) * width + relevant.indices
    asked = np.arange(len(recommended))[:, None] * width + recommended
    return np.isin(asked, wanted) & (recommended >= 0), np.diff(relevant.indptr)


def part(matrix: Any, kept: Array) -> Any:
    """Return a `csr_array` with only some of its entries; `kept` [entries] bool says which, in their order."""
    ends = np.concatenate(([0], np.cumsum(kept)))[matrix.indptr]
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)


def _positions(ids: Array, wanted: Any, kind: str) -> Array:
    wanted = np.asarray(wanted)
    found = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    unknown = wanted[ids[found] != wanted]
    require(len(unknown) == 0, f"an unknown {kind}", unknown[:1].tolist(), "one of those in the pairs")
    return np.asarray(found)
