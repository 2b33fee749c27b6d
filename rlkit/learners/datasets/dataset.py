"""Data sets, whatever their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, UsageError

TASKS = ("classification", "regression", "clustering", "recommendation", "language")
"""What can be learned from data; ``auto`` is for tables, and chosen by their target."""

MOST_CLASSES = 20
"""A column of whole numbers with more different values than this is a quantity, not a class."""


class Rows(NamedTuple):
    """Rows that belong together."""

    X: Any  # [n, d] float64, or object where columns are text; [n] object of texts; CSR [users, items]
    y: Array | None = None  # [n]: classes or quantities


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from, and what is known of them.

    Attributes:
        task: what can be learned: one of `TASKS`.
        rows: what a learner is fitted on, and held out from.
        features: a name for each column of X; none where columns mean nothing by themselves (pixels, words).
        target: the name of y.
        classes: a name for each class where y is their numbers, 0 first; else none.
        image_shape: (channels, height, width) where each row is an image, flat in this order.
        held_out: rows that the data set's authors keep for scoring; None where rows are held out by the run.
        unlabeled: rows whose y is not known, to be predicted.
        ids: an id for each of the `unlabeled` rows, and the name of its column.
        notes: lines for the user.
        items: a name for each column of ratings.
        missing: what a gap is written as, in tables.
    """

    task: str
    rows: Rows
    features: tuple[str, ...] = ()
    target: str = "target"
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    held_out: Rows | None = None
    unlabeled: Rows | None = None
    ids: tuple[str, Array] | None = None
    notes: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)  # what only data sets of one task have

    @property
    def texts(self) -> bool:
        """Whether each row is a text."""
        return bool(isinstance(self.rows.X, np.ndarray) and self.rows.X.ndim == 1)


def require_task(task: str) -> str:
    """Return `task` if it is known.

    Raises:
        UsageError: it is not.
    """
    from rlkit.config.messages import nearest

    if task not in (*TASKS, "auto"):
        raise UsageError(f"there is no data.task={task}{nearest(task, (*TASKS, 'auto'))}")
    return task


def task_of(y: Array) -> str:
    """Return the task of predicting y [n]: text and few whole numbers are classes, anything else is a quantity."""
    if y.dtype.kind in "OUSb":
        return "classification"
    whole = bool(np.all(np.isfinite(y)) and np.all(y == np.round(y)))
    return "classification" if whole and len(np.unique(y)) <= MOST_CLASSES else "regression"
