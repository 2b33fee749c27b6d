"""A table of ratings as a recommender's task: users, the ratings known of them, and what they would like."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, UsageError

HELD_OUT = ("users", "cells", "none")
CANDIDATES = ("all", "rated")


class Cells(NamedTuple):
    """Pairs of U users and the I items that most have rated."""

    columns: Array  # [I] of the whole table, the most rated first
    rated: Array  # [U, I] bool, there is a rating
    liked: Array  # [U, I] bool


class Audience(NamedTuple):
    """The users who come, in training or in evaluations."""

    users: Array  # [V] rows of users who can be recommended something
    learners: Array  # [W] rows of the users who come in training
    history: Array  # [U, I] int8: 1 liked, -1 not, 0 not known when they come
    open: Array  # [U, I] bool, what may be recommended


def cells(data: Any, n_items: int, threshold: float | None) -> Cells:
    """Return the pairs of a `Dataset` of ratings; where the truth is planted, all of them are filled in.

    Raises:
        UsageError: the data is no ratings, or has no such items.
    """
    if data is None or data.task != "recommendation":
        task = "nothing" if data is None else data.task
        raise UsageError(f"env=recommendation needs ratings, not data for {task}; give data=lastfm or data=ratings")
    matrix = data.rows.X.tocsr()
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    if not 1 <= n_items <= len(counts):
        raise UsageError(f"env.n_items is {n_items}; it must be from 1 to the {len(counts)} items of the data")
    columns = np.argsort(-counts, kind="stable")[:n_items]
    values = matrix[:, columns].toarray()
    # A stored 0 is a rating.
    rated = type(matrix)((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)[:, columns]
    rated = rated.toarray() > 0
    if (truth := data.extra.get("truth")) is not None:
        values = np.where(rated, values, truth.ratings(columns))
        return Cells(columns, rated, rated if threshold is None else values >= threshold)
    return Cells(columns, rated, rated if threshold is None else rated & (values >= threshold))


def audience(
    table: Cells,
    *,
    candidates: str,
    given: float,
    held_out: str,
    test_size: float,
    evaluation: bool,
    least: int,
    rng: np.random.Generator,
) -> Audience:
    """Draw what is known of users, and what is held out; equal generators draw the same for training and evaluation.

    Args:
        table: the pairs.
        candidates: one of `CANDIDATES`.
        given: share of the ratings that are known.
        held_out: one of `HELD_OUT`.
        test_size: share that is held out.
        evaluation: return the part that is held out, where something is.
        least: users for whom less may be recommended do not come.
        rng: draws.

    Raises:
        UsageError: nobody is left.
    """
    known = table.rated & (rng.random(table.rated.shape) < given)
    tested = rng.random(table.rated.shape) < test_size
    order = rng.permutation(len(table.rated))
    later, first = np.split(order, [round(test_size * len(order))])
    allowed = ~known if candidates == "all" else table.rated & ~known
    if held_out == "cells":
        allowed = allowed & (tested if evaluation else ~tested)
    learners = np.sort(first if held_out == "users" else order)
    coming = np.sort(later) if held_out == "users" and evaluation else learners
    users = coming[table.rated[coming].any(1) & (allowed[coming].sum(1) >= least)]
    if not len(users):
        raise UsageError(
            "env=recommendation has nobody to whom it could recommend env.session items; lower env.session, env.given "
            "or env.test_size, or raise env.n_items"
        )
    history = np.where(known, np.where(table.liked, 1, -1), 0).astype(np.int8)
    return Audience(users, learners, history, allowed)
