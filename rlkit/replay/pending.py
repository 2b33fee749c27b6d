"""Rows of a replay that were added but not entered yet, column by column.

Kept as bytes: for the few values that a call brings, that is a fraction of the time that NumPy takes to store them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.core.types import Array

COLUMNS = ("action", "reward", "discount", "last", "next_legal_actions")
"""What is kept of a row until it is entered."""

LAST = COLUMNS.index("last")

Layout = list[tuple[str, np.dtype[Any], tuple[int, ...]]]
"""Name, dtype and shape, without the first axis, of columns."""


def layout(values: Mapping[str, Array]) -> Layout:
    """Return the layout of the columns among `values` [K, ...]."""
    return [(name, values[name].dtype, values[name].shape[1:]) for name in COLUMNS if name in values]


def no_rows() -> tuple[bytearray, ...]:
    """Return an empty content of each column."""
    return tuple(bytearray() for _ in COLUMNS)


def columns(contents: tuple[bytearray, ...], known: Layout) -> dict[str, Array]:
    """Return the columns [K, ...] in `contents`."""
    return {
        name: np.frombuffer(content, dtype).reshape(-1, *shape)
        for (name, dtype, shape), content in zip(known, contents, strict=False)
    }
