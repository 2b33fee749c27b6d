"""Rows to train on and rows that are held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.learners.datasets import Dataset
from rlkit.learners.datasets.dataset import Rows
from rlkit.learners.datasets.ratings import HoldOut
from rlkit.learners.kinds import taken

SHARE = 0.2
"""The share of the rows that is held out by default, where there is something to predict."""


class Split(NamedTuple):
    """Rows to train on, and rows to score on."""

    train: Rows
    test: Rows | None


def split(data: Dataset, test_size: float | None, seeds: Any) -> Split:
    """Return a data set's rows in two parts: its own where it keeps some, else drawn, as many of each class.

    Of ratings, pairs are held out, and both parts are matrices of the same users. Of texts, the end is.

    Args:
        data: the data set.
        test_size: the share that is held out; None: the data set's own, else a fifth, and none for clustering.
        seeds: the run's `rlkit.core.seeding.Seeds`.

    Raises:
        UsageError: there are too few rows for such a part.
    """
    if test_size is None and data.held_out is not None:
        return Split(data.rows, data.held_out)
    if test_size is None and (hold_out := data.extra.get("hold_out")) is not None:
        return _each_users(data, hold_out, seeds.generator("test rows"))
    if test_size is None:
        test_size = 0.0 if data.task == "clustering" else SHARE
    if test_size == 0:
        return Split(data.rows, None)
    if data.task == "recommendation":
        return _share_of_pairs(data, test_size, seeds.generator("test rows"))
    if data.task == "language":
        return _end_of_texts(data, test_size)
    train, test = _drawn(data, test_size, seeds.number("test rows"))
    return Split(taken(data.rows, train), taken(data.rows, test))


def _drawn(data: Dataset, test_size: float, seed: int) -> tuple[Array, Array]:
    from sklearn.model_selection import train_test_split

    rows = np.arange(data.rows.X.shape[0])
    try:
        train, test = train_test_split(rows, test_size=test_size, random_state=seed, stratify=_classes(data, data.rows))
    except ValueError as error:
        raise UsageError(
            f"test_size={test_size:g} of {len(rows)} rows cannot be held out: {error}; set test_size=0"
        ) from error
    return np.sort(train), np.sort(test)


def _classes(data: Dataset, rows: Rows) -> Array | None:
    return rows.y if data.task == "classification" else None


def _each_users(data: Dataset, hold_out: HoldOut, rng: np.random.Generator) -> Split:
    """Hold out so many pairs of each user who has enough."""
    from rlkit.learners.estimators.interactions import leave_out

    per_user, at_least = hold_out
    return _ratings(*leave_out(data.rows.X.tocsr(), per_user=per_user, at_least=at_least, random_state=rng))


def _share_of_pairs(data: Dataset, test_size: float, rng: np.random.Generator) -> Split:
    from rlkit.learners.estimators.interactions import part

    matrix = data.rows.X.tocsr()
    held = np.zeros(matrix.nnz, bool)
    held[rng.permutation(matrix.nnz)[: round(test_size * matrix.nnz)]] = True
    return _ratings(part(matrix, ~held), part(matrix, held))


def _end_of_texts(data: Dataset, test_size: float) -> Split:
    """Hold out the last characters, as a text goes on where it is read."""
    text = "".join(data.rows.X)
    count = int(len(text) * (1 - test_size))
    if not 0 < count < len(text):
        raise UsageError(f"test_size={test_size:g} of {len(text)} characters cannot be held out; set test_size=0")
    return Split(*(Rows(np.array([part], object)) for part in (text[:count], text[count:])))


def _ratings(train: Any, test: Any) -> Split:
    if not train.nnz or not test.nnz:
        total = train.nnz + test.nnz
        raise UsageError(f"nothing can be held out of {total:,} ratings; set data.give, data.least, or test_size=0")
    return Split(Rows(train), Rows(test))


def folds(data: Dataset, rows: Rows, count: int, seed: int) -> Iterator[Split]:
    """Yield the parts of a cross-validation: each row is scored on once, classes are spread evenly.

    Raises:
        UsageError: there are fewer rows, or rows of a class, than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if data.task == "recommendation":
        raise UsageError("folds= needs rows, and ratings are split by pairs; leave it out")
    if data.task == "language":
        raise UsageError("folds= needs rows, and of texts the end is held out; leave it out")
    classes = _classes(data, rows)
    least = rows.X.shape[0] if classes is None else int(np.unique(classes, return_counts=True)[1].min())
    if count < 2 or count > least:
        what = "rows" if classes is None else "rows of the rarest class"
        raise UsageError(f"folds is {count}; it must be from 2 to the {least} {what}, or 0 for none")
    kind = KFold if classes is None else StratifiedKFold
    for train, test in kind(count, shuffle=True, random_state=seed).split(np.zeros(rows.X.shape[0]), classes):
        yield Split(taken(rows, train), taken(rows, test))
