"""What the plots share: colors, and the columns of numbers in a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.datasets import Dataset
from rlkit.learners.kinds import text_columns

COLOURS = (
    "#1f4e9c",
    "#d1662a",
    "#5b8f68",
    "#8e5aa8",
    "#b8912c",
    "#3a9ca8",
    "#b04a63",
    "#6b6b6b",
    "#7d9e2e",
    "#a0522d",
)
LIGHT = "#b8c4d6"
MOST_CLASSES = len(COLOURS)
DRAWN_ROWS = 3000
"""Points in a plot; of more rows, some at even distances."""


def numbers(data: Dataset, X: Any) -> tuple[Array, list[str]]:
    """Return the columns [n, d] float64 of a table that hold numbers, and their names; none where there is no table."""
    if not data.features or data.texts:
        return np.empty((0, 0)), []
    text = set(text_columns(X)) if X.dtype == object else set()
    kept = [i for i in range(X.shape[1]) if i not in text]
    return np.asarray(X[:, kept], np.float64), [data.features[i] for i in kept]


def some(count: int) -> Array:
    """Return the indices [n] int64 of the rows that are drawn, of `count`."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, DRAWN_ROWS)).round().astype(int))


def short(value: float) -> str:
    """Return a number with four significant digits, or with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def colour(number: int) -> str:
    """Return the color of a class."""
    return COLOURS[number % len(COLOURS)]


def class_names(data: Dataset, labels: Array) -> list[str]:
    """Return the names of the classes `labels` [n]."""
    named = data.classes and labels.dtype.kind in "iu" and labels.max(initial=0) < len(data.classes)
    return [data.classes[int(label)] if named else str(label) for label in labels]
