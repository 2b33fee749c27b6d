"""What this machine has."""

from __future__ import annotations

import os
from pathlib import Path

from rlkit.core import UsageError


def available_memory() -> int | None:
    """Return the bytes of memory that can still be taken, or None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Check that `needed` bytes are there before they are taken.

    Raises:
        UsageError: they are not; `what` and `remedy` are part of the line.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise UsageError(f"{what} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; {remedy}")
