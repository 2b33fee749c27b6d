"""Compiling inner loops by numba: kept on disk after the first time, and run without holding Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from rlkit.core.compiling import entry

F = TypeVar("F", bound=Callable[..., Any])

# What makes no arrays counts no references to them (NRT), which takes as long to compile as all the rest.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


kernel: Callable[[F], F] = entry(**OPTIONS)
"""Compile what Python calls with arrays to fill."""

WITHIN = {**OPTIONS, "no_cpython_wrapper": True}

part: Callable[[F], F] = numba.njit(**WITHIN)
"""Compile what only a `kernel` of the same file calls."""

inlined: Callable[[F], F] = numba.njit(forceinline=True, **WITHIN)
"""Compile such a small function into where it is called: a call copies each of its arrays' seven numbers."""
