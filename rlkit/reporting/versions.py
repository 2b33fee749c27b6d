"""The versions that runs were made with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from rlkit.core.files import read_bytes
from rlkit.reporting.columns import AnyRun

SHOWN = ("rlkit", "python", "numpy", "gymnasium", "scikit-learn", "torch", "ale-py")


def versions_line(runs: Sequence[AnyRun]) -> str:
    """Return the versions in one line; where runs differ, all that were used."""
    tables = [_read(run) for run in runs]
    parts = []
    for name in SHOWN:
        found = sorted({table[name] for table in tables if name in table})
        if found:
            parts.append(f"{name} {' and '.join(found)}")
    return ", ".join(parts) or "made with unknown versions"


def _read(run: AnyRun) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        return {key: str(value) for key, value in json.loads(read_bytes(run.directory / "versions.json")).items()}
    return {}
