"""Sets of cells as the bits of an int64, in compiled rules."""

from __future__ import annotations

from typing import Any

import numba

from rlkit.planning.search.draws import below

WITHIN: dict[str, Any] = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "_nrt": False}


@numba.njit(**WITHIN)
def count(cells):  # type: ignore[no-untyped-def]
    """Return how many cells a set has."""
    n = 0
    while cells:
        cells &= cells - 1
        n += 1
    return n


@numba.njit(**WITHIN)
def drawn(cells, rng):  # type: ignore[no-untyped-def]
    """Return the set of one of the cells, drawn uniformly; nothing is drawn where there is but one."""
    n = count(cells)
    for _ in range(below(rng, 0, n) if n > 1 else 0):
        cells &= cells - 1
    return cells & -cells
