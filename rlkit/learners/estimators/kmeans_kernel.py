"""One pass of k-means over a block of rows, compiled."""

from __future__ import annotations

from rlkit.core.types import Array
from rlkit.learners.estimators.compiling import kernel


@kernel
def absorb(
    rows: Array, weights: Array, products: Array, half_squares: Array, labels: Array, sums: Array, mass: Array
) -> int:
    """Assign each row to its nearest center, the first of equally near ones, and add it up there.

    Args:
        rows: [n, d] float64.
        weights: [n].
        products: [n, k] of rows and centers.
        half_squares: [k] half the centers' squared lengths.
        labels: [n] int32, changed in place.
        sums: [k, d] weighted sums of the centers' rows, added to.
        mass: [k] the weights of the centers' rows, added to.

    Returns:
        how many labels changed.
    """
    changed = 0
    for i in range(len(labels)):
        best, nearest = 0, half_squares[0] - products[i, 0]
        for k in range(1, len(half_squares)):
            distance = half_squares[k] - products[i, k]
            if distance < nearest:
                best, nearest = k, distance
        if labels[i] != best:
            changed += 1
            labels[i] = best
        w = weights[i]
        mass[best] += w
        for j in range(rows.shape[1]):
            sums[best, j] += w * rows[i, j]
    return changed
