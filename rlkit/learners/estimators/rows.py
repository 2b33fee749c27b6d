"""Rows and their weights, so that a row of weight 3 is the same as three rows, whatever order the rows come in."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from scipy import sparse
from sklearn.utils import compute_sample_weight

from rlkit.core.types import Array

Generator = Any
"""What `sklearn.utils.check_random_state` returns."""
Matrix = TypeVar("Matrix")
"""A dense or a sparse matrix."""

ODD = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: multiples of it spread evenly (Knuth, volume 3, section 6.4)


def row_weights(sample_weight: Any, rows: int) -> Array:
    """Return the weights [rows] of the rows, ones where none are given.

    Raises:
        ValueError: a weight is negative or not finite, all are zero, or there are not `rows` of them.
    """
    if sample_weight is None:
        return np.ones(rows)
    weights = np.array(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, weights)
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight has shape {weights.shape}; give one weight for each of the {rows} rows")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("sample_weight holds a negative or non-finite number; weights are at least zero")
    if not weights.any():
        raise ValueError("sample_weight is zero in every row; at least one weight must be non-zero")
    return weights


def class_weights(class_weight: Any, y: Array) -> Array:
    """Return the factors [n] of the rows' weights (`class_weight` as scikit-learn has it: a dict, balanced)."""
    return np.ones(len(y)) if class_weight is None else np.asarray(compute_sample_weight(class_weight, y))


def counted(weights: Array, *arrays: Matrix) -> tuple[Array, list[Matrix]]:
    """Return the weights [n] and the arrays [n, ...] without the rows of weight zero."""
    kept = np.flatnonzero(weights)
    if len(kept) == len(weights):
        return weights, list(arrays)
    return weights[kept], [array[kept] for array in arrays]  # type: ignore[index]


def content_order(*columns: Any) -> Array:
    """Return an order of the rows [n] int that depends on what they hold, not on where they stand.

    Args:
        columns: dense or sparse matrices [n, k] of numbers; equal rows end up side by side.
    """
    total = np.zeros(columns[0].shape[0], np.uint64)
    place = 1
    for column in columns:
        factors = (
            np.arange(place, place + column.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        ) * np.uint64(ODD)
        total += _mixed(column) @ factors
        place += column.shape[1]
    return np.argsort(total, kind="stable")


def _mixed(matrix: Any) -> Any:
    """Return the bits of the numbers as unsigned integers, the high ones mixed into the low ones; zero stays zero."""
    if sparse.issparse(matrix):
        matrix = sparse.csr_array(matrix, dtype=np.float64)
        matrix.sum_duplicates()
        return sparse.csr_array((_mixed(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    bits = (np.asarray(matrix, np.float64) + 0.0).view(np.uint64)  # adding 0 makes minus zero plus zero
    bits = (bits ^ (bits >> np.uint64(32))) * np.uint64(ODD)
    return bits ^ (bits >> np.uint64(29))


def number_of_rows(weights: Array) -> int:
    """Return as how many rows those of `weights` [n] count: whole weights are repetitions; others count once."""
    return len(weights) if np.any(weights % 1) else int(weights.sum())


def drawn(order: Array, weights: Array, size: int, rng: Generator) -> Array:
    """Return `size` rows drawn with replacement in proportion to their weights [n], one of which is positive."""
    ends = np.cumsum(weights[order])
    return order[np.searchsorted(ends, rng.uniform(size=size) * ends[-1], side="right").clip(max=len(order) - 1)]


def visits(order: Array, weights: Array) -> Array:
    """Return each row as often as its weight says [N], in `order`; of other than whole weights, evenly spread."""
    ends, size = np.cumsum(weights[order]), number_of_rows(weights)
    return order[np.searchsorted(ends, (np.arange(size) + 0.5) * (ends[-1] / size), side="right")]
