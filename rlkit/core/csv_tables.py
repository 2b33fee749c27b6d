"""Tables of numbers in CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from rlkit.core.types import Array, UsageError


def read_table(path: Path) -> dict[str, Array]:
    """Return the columns of a CSV file of numbers by name, each [rows] float64, NaN for empty cells.

    An incomplete last line, still being written or left by a crash, is ignored.

    Raises:
        UsageError: the file does not exist.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; was the run made with logger=[csv,…]?")
    content = path.read_text()
    header, *rows = csv.reader(content[: content.rfind("\n") + 1].splitlines()) if "\n" in content else [[]]
    return {name: np.array([float(row[i]) if row[i] else np.nan for row in rows]) for i, name in enumerate(header)}
