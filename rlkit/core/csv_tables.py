"""Tables of numbers in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlkit.core.files import read_bytes
from rlkit.core.types import Array, UsageError


def read_table(path: Path) -> dict[str, Array]:
    """Return the columns of a CSV file of numbers by name, each [rows] float64, NaN for empty cells.

    An incomplete last line, still being written or left by a crash, is ignored.

    Raises:
        UsageError: the file does not exist, cannot be read, or holds something else; the message has the line and the
            column.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; was the run made with logger=[csv,…]?")
    try:
        content = read_bytes(path).decode()
        header, *rows = numbered_rows(content[: content.rfind("\n") + 1]) or [(0, [])]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no table of numbers: {error}") from error
    numbered = [(line, row) for line, row in rows if row]
    return {name: column_of(path, i, name, numbered) for i, name in enumerate(header[1])}


def numbered_rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the cells of each line of a CSV text, with its number, from 1."""
    reader = csv.reader(io.StringIO(text, newline=""))
    return [(reader.line_num, row) for row in reader]


def column_of(path: Path, i: int, name: str, rows: Sequence[tuple[int, Sequence[str]]]) -> Array:
    """Return column `i` of numbered rows, [rows] float64, NaN for empty cells.

    Raises:
        UsageError: a cell is missing or no number; the message has its line and the column's `name`.
    """
    try:
        return np.array([float(row[i]) if row[i] else np.nan for _, row in rows])
    except (ValueError, IndexError):
        line, problem = next(filter(None, (_problem(line, row, i) for line, row in rows)))
        raise UsageError(f"{path} line {line}: {name} {problem}; fix the line, or delete it") from None


def _problem(line: int, row: Sequence[str], i: int) -> tuple[int, str] | None:
    if i >= len(row):
        return line, "is not there: the line is too short"
    try:
        float(row[i] or "nan")
    except ValueError:
        return line, f"is {row[i]!r:.60}, which is no number"
    return None
