"""Delimited text as columns: numbers and text, what each cell was written as, and on which line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import Array, UsageError

MISSING = ("", "NA", "NaN", "nan", "null")
"""Cells that are gaps. `None` is not among them: it can be a category (house prices: no masonry veneer)."""

NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE)
"""Numbers as tables have them; Python reads more than these (``1_000``, digits of other scripts)."""

LONGEST_CELL = 10_000_000  # characters


class DataTable(NamedTuple):
    """The columns of a table."""

    columns: tuple[str, ...]
    cells: Mapping[str, Array]  # [n] float64 with NaN for gaps, or [n] object of text with None
    written: Mapping[str, Sequence[str]]  # [n] the same as they are in the file
    lines: Sequence[int]  # [n] of the rows in the file, from 1
    name: str = "the table"

    def matrix(self, names: Sequence[str]) -> Array:
        """Return columns side by side: [n, d] float64, or object where one of them is text.

        Raises:
            UsageError: there is no such column, or a number is infinite.
        """
        for name in names:
            if name not in self.cells:
                raise UsageError(f"{self.name} has no column {name}{nearest(name, self.columns)}")
            self._require_finite(name)
        parts = [self.cells[name] for name in names]
        kind = object if any(part.dtype == object for part in parts) else np.float64
        return np.column_stack(parts).astype(kind) if parts else np.empty((len(self.lines), 0))

    def place(self, column: str, row: int) -> str:
        """Return where a cell is, and what it says, for messages."""
        return f"{self.name} line {self.lines[row]}: {column} is {self.written[column][row]!r:.60}"

    def _require_finite(self, column: str) -> None:
        cells = self.cells[column]
        if cells.dtype != object and (infinite := np.flatnonzero(np.isinf(cells))).size:
            raise UsageError(
                f"{self.place(column, infinite[0])}; numbers must be finite: fix the cell, or leave it empty"
            )


def parse(
    text: str,
    delimiter: str = ",",
    missing: Sequence[str] = MISSING,
    name: str = "the table",
    kinds: Mapping[str, bool] | None = None,
) -> DataTable:
    """Return the columns of delimited text with a header; a column is numbers where all its cells but gaps are.

    Args:
        text: the content of a file.
        delimiter: between cells.
        missing: what a gap is written as.
        name: of the file, for messages.
        kinds: whether a column is text, where that is known, whatever its cells look like.

    Raises:
        UsageError: there are no rows, names are double, a line has more or fewer cells than the header, or a column
            that is known to be numbers holds text.
    """
    lines, (header, *rows) = _rows(text, delimiter, name)
    header = [cell.strip() for cell in header]
    if doubles := sorted({column for column in header if header.count(column) > 1}):
        raise UsageError(f"{name} has two columns called {doubles[0]!r}; rename one of them")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise UsageError(
                f"{name} line {line} has {len(row)} cells and the header {len(header)}; fix the line, or set "
                f"data.delimiter"
            )
    columns = ([cell.strip() for cell in cells] for cells in zip(*rows, strict=True))
    written = dict(zip(header, columns, strict=True))
    table = DataTable(tuple(header), {}, written, lines, name)
    gaps, known = set(missing), kinds or {}
    return table._replace(cells={column: _cells(table, column, gaps, known.get(column)) for column in header})


def _rows(text: str, delimiter: str, name: str) -> tuple[list[int], list[list[str]]]:
    """Return the line on which each row below the header ends, and the rows that are not blank, the header first."""
    csv.field_size_limit(LONGEST_CELL)
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise UsageError(f"data.delimiter={delimiter!r} is no delimiter; it must be one character")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    numbered: list[tuple[int, list[str]]] = []
    try:
        numbered.extend((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise UsageError(f"{name} line {reader.line_num}: {error}; check the quotation marks there") from error
    if len(numbered) < 2:
        raise UsageError(f"{name} has no rows below a header")
    return [line for line, _ in numbered[1:]], [row for _, row in numbered]


def _cells(table: DataTable, column: str, gaps: Container[str], is_text: bool | None) -> Array:
    cells = [None if cell in gaps else cell for cell in table.written[column]]
    numbers = not is_text and [cell is None or NUMBER.fullmatch(cell) is not None for cell in cells]
    if numbers and all(numbers):
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    if numbers and is_text is False:
        raise UsageError(
            f"{table.place(column, numbers.index(False))}, which is no number, and the model was fitted to numbers "
            "there; fix the cell, or leave it empty for a gap"
        )
    return np.array(cells, dtype=object)


def is_exact(written: str, number: float) -> bool:
    """Return whether a whole number says all that its text does: ids such as 007, or beyond 2^53, are more."""
    return abs(number) < 2**53 and not re.match(r"[+-]?0\d", written)
