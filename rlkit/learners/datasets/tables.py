"""Tables: CSV and TSV files, NumPy's archives, and the house prices."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import Array, FromRun, UsageError
from rlkit.learners.datasets.cache import DataSource, decoded, read, unpacked
from rlkit.learners.datasets.dataset import Dataset, Rows, require_task, task_of

MISSING = ("", "NA", "NaN", "nan", "null")
"""Cells that are gaps. `None` is not among them: it can be a category (house prices: no masonry veneer)."""


class DataTable(NamedTuple):
    """The columns of a table."""

    columns: tuple[str, ...]
    cells: Mapping[str, Array]  # [n] float64 with NaN for gaps, or [n] object of text with None

    def matrix(self, names: Sequence[str]) -> Array:
        """Return columns side by side: [n, d] float64, or object where one of them is text."""
        parts = [self.cells[name] for name in names]
        kind = object if any(part.dtype == object for part in parts) else np.float64
        rows = len(self.cells[self.columns[0]])
        return np.column_stack(parts).astype(kind) if parts else np.empty((rows, 0))


def parse(text: str, delimiter: str = ",", missing: Sequence[str] = MISSING, name: str = "the table") -> DataTable:
    """Return the columns of delimited text with a header; a column is numbers where all its cells but gaps are.

    Raises:
        UsageError: there are no rows, names are double, or a line has more or fewer cells than the header.
    """
    lines = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    if len(lines) < 2:
        raise UsageError(f"{name} has no rows below a header")
    header, rows = [cell.strip() for cell in lines[0]], lines[1:]
    if doubles := sorted({column for column in header if header.count(column) > 1}):
        raise UsageError(f"{name} has two columns called {doubles[0]!r}; rename one of them")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UsageError(
                f"{name} line {number} has {len(row)} cells and the header {len(header)}; fix the line, or set "
                f"data.delimiter"
            )
    gaps = set(missing)
    cells = {
        column: _column([None if cell.strip() in gaps else cell.strip() for cell in column_cells])
        for column, column_cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    return DataTable(tuple(header), cells)


def _column(cells: Sequence[str | None]) -> Array:
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return np.array(cells, dtype=object)


def chosen(names: Sequence[str], features: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns to learn from: `features`, or all where it is None.

    Raises:
        UsageError: there is no such column, or none is left.
    """
    wanted = tuple(names if features is None else features)
    for name in wanted:
        if name not in names:
            raise UsageError(f"there is no column {name} in data.features{nearest(name, names)}")
    if not wanted:
        raise UsageError("there is no column to learn from; name some in data.features")
    return wanted


def csv_file(
    path: str,
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: str = "auto",
    delimiter: str = ",",
    missing: Sequence[str] = MISSING,
) -> Dataset:
    """Return a delimited file with a header as a data set.

    Args:
        path: the file, which may be packed with gzip; UTF-8, else Windows-1252.
        target: the column to predict; None: there is none, as for clustering.
        features: the columns to learn from; None: all others.
        task: classification, regression, clustering, or auto: by the target.
        delimiter: between cells; a tab for TSV.
        missing: what a gap is written as.

    Raises:
        UsageError: the file cannot be read, or a column is not in it.
    """
    table = parse(decoded(unpacked(_content(path))), delimiter, missing, path)
    if target is not None and target not in table.columns:
        raise UsageError(f"data.target={target} is no column of {path}{nearest(target, table.columns)}")
    others = [column for column in table.columns if column != target]
    names = chosen(others, features)
    y = None if target is None else _labels(table.cells[target], target, path)
    return replace(_dataset(table.matrix(names), y, names, target, task), missing=tuple(missing))


def npz_file(path: str, inputs: str = "X", target: str | None = "y", task: str = "auto") -> Dataset:
    """Return arrays of a NumPy archive as a data set.

    Args:
        path: the ``.npz`` file; one that needs pickle is refused.
        inputs: the array [n, d], or [n, channels, height, width] or [n, height, width] of images.
        target: the array [n] to predict; None: there is none.
        task: as in `csv_file`.

    Raises:
        UsageError: the file cannot be read, or an array is not in it.
    """
    content = _content(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, AttributeError) as error:
        raise UsageError(f"data.path={path} is no archive of plain arrays (numpy.savez): {error}") from error
    for key, name in (("inputs", inputs), ("target", target)):
        if name is not None and name not in arrays:
            raise UsageError(f"data.{key}={name} is no array of {path}{nearest(name, arrays)}")
    X = arrays[inputs]
    shape = _image_shape(X)
    flat = X.reshape(len(X), -1).astype(np.float64)
    names = () if shape is not None else tuple(f"x{i}" for i in range(flat.shape[1]))
    y = None if target is None else arrays[target]
    return replace(_dataset(flat, y, names, target, task), image_shape=shape)


def _image_shape(X: Array) -> tuple[int, int, int] | None:
    if X.ndim == 3:
        return (1, X.shape[1], X.shape[2])
    return (X.shape[1], X.shape[2], X.shape[3]) if X.ndim == 4 else None


def _content(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"data.path={path} cannot be read: {error.strerror}") from error


def _labels(cells: Array, target: str, path: str) -> Array:
    """Return a target without gaps; text as an array of strings, whole numbers as integers."""
    gaps = np.array([cell is None for cell in cells]) if cells.dtype == object else np.isnan(cells)
    if gaps.any():
        raise UsageError(f"data.target={target} has {gaps.sum()} gaps in {path}; drop those rows")
    if cells.dtype == object:
        return np.array([str(cell) for cell in cells])
    return cells.astype(np.int64) if np.all(cells == np.round(cells)) else cells


def _dataset(X: Array, y: Array | None, names: Sequence[str], target: str | None, task: str) -> Dataset:
    found = require_task(task)
    if y is None:
        return Dataset("clustering", Rows(X), tuple(names))
    found = task_of(y) if task == "auto" else found
    y = y.astype(np.float64) if found == "regression" else y
    return Dataset(found, Rows(X, y), tuple(names), str(target))


HOUSE_PRICES = {
    "train.csv": "1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
    "test.csv": "3559f4ee4f04729814c85f9f597331e02bdb81b7c96c1aacf8515610b69915cd",
}
"""SHA-256 of the files that the tests' expected results belong to."""


HOUSE_GAPS = ("", "NA")


def house_prices(
    features: Sequence[str] | None, page: str, folder: str | None, notify: FromRun[Callable[[str], None]]
) -> Dataset:
    """Return the house prices of Ames, as Kaggle splits them: 1,460 rows with SalePrice, 1,459 without.

    Args:
        features: the columns to learn from; None: all 79.
        page: where a person downloads the files, which no program can.
        folder: the user's own folder with ``train.csv`` and ``test.csv``.
        notify: takes a line for the user.

    Raises:
        UsageError: a file is not there.
    """
    place = DataSource("house_prices", None, folder, page, HOUSE_PRICES, notify)
    train, test = (parse(decoded(read(place, file)), ",", HOUSE_GAPS, file) for file in HOUSE_PRICES)
    others = [column for column in train.columns if column not in ("Id", "SalePrice")]
    names = chosen(others, features)
    X = train.matrix(names)
    # A column is of one kind in both files: one that is numbers in one and text in the other is text.
    unlabeled = np.asarray(test.matrix(names)).astype(X.dtype)
    return Dataset(
        "regression",
        Rows(X, train.cells["SalePrice"]),
        names,
        "SalePrice",
        unlabeled=Rows(unlabeled),
        ids=("Id", test.cells["Id"].astype(np.int64)),
        missing=HOUSE_GAPS,
        extra={"table": _numbers(train)},
    )


def _numbers(table: DataTable) -> dict[str, Any]:
    return {name: cells for name, cells in table.cells.items() if cells.dtype != object and name != "Id"}
