"""Random numbers of a search: one 64-bit word of state for each tree, the same numbers compiled and in NumPy.

Source: Steele, Lea & Flood (2014), SplitMix. A bounded draw scales the upper 32 bits, which favors no number below
2^16 by more than one in 65,536.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from rlkit.core.types import Array

STEP, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32, S11 = (np.uint64(shift) for shift in (27, 30, 31, 32, 11))
UNIT = 2.0**-53

WITHIN: dict[str, Any] = {"error_model": "numpy", "forceinline": True, "_nrt": False}


@numba.njit(**WITHIN)
def word(rng, i):  # type: ignore[no-untyped-def]
    """Advance ``rng[i]`` and return 64 random bits."""
    rng[i] += STEP
    z = rng[i]
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@numba.njit(**WITHIN)
def below(rng, i, n):  # type: ignore[no-untyped-def]
    """Return an int64 drawn uniformly from 0 to n - 1."""
    return np.int64(((word(rng, i) >> S32) * np.uint64(n)) >> S32)


@numba.njit(**WITHIN)
def uniform(rng, i):  # type: ignore[no-untyped-def]
    """Return a float64 drawn uniformly from [0, 1)."""
    return np.float64(word(rng, i) >> S11) * UNIT


def words(rng: Array, rows: Array) -> Array:
    """Advance ``rng[rows]`` (uint64) and return 64 random bits for each of `rows` [R]."""
    with np.errstate(over="ignore"):
        rng[rows] += STEP
        z = rng[rows]
        z = (z ^ (z >> S30)) * FIRST
        z = (z ^ (z >> S27)) * SECOND
    return np.asarray(z ^ (z >> S31))


def belows(rng: Array, rows: Array, n: Array) -> Array:
    """Return an int64 drawn uniformly from 0 to n - 1 for each of `rows` [R]; `n` is [R] as well."""
    return ((words(rng, rows) >> S32) * n.astype(np.uint64) >> S32).astype(np.int64)


def uniforms(rng: Array, rows: Array) -> Array:
    """Return a float64 drawn uniformly from [0, 1) for each of `rows` [R]."""
    return np.asarray((words(rng, rows) >> S11).astype(np.float64) * UNIT)
