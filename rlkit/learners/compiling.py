"""Compiling inner loops by numba: kept on disk after the first time, and run without holding Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

# What makes no arrays counts no references to them (NRT), which takes as long to compile as all the rest.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


def kernel(function: F) -> F:
    """Compile what Python calls with arrays to fill; numba's cache sees changes in the function's own file only."""
    try:
        compiled: F = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # there is no place for a cache: compiled anew in each process
        compiled = numba.njit(**OPTIONS)(function)
    return compiled


WITHIN = {**OPTIONS, "no_cpython_wrapper": True}

part: Callable[[F], F] = numba.njit(**WITHIN)
"""Compile what only a `kernel` of the same file calls."""

inlined: Callable[[F], F] = numba.njit(forceinline=True, **WITHIN)
"""Compile such a small function into where it is called: a call copies each of its arrays' seven numbers."""
