"""Compiling inner loops by numba: kept on disk after the first time, and run without holding Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def kernel(function: F) -> F:
    """Compile what Python calls; numba's cache sees changes in the function's own file only."""
    try:
        compiled: F = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # there is no place for a cache: compiled anew in each process
        compiled = numba.njit(**OPTIONS)(function)
    return compiled


part: Callable[[F], F] = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
"""Compile what only a `kernel` of the same file calls."""
