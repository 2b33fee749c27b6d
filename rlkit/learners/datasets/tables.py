"""Tables: CSV and TSV files, NumPy's archives, and the house prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import Array, FromRun, UsageError
from rlkit.learners.datasets.archives import opened
from rlkit.learners.datasets.cache import DataSource, content, decoded, read
from rlkit.learners.datasets.dataset import MOST_CLASSES, Dataset, Rows, require_task, task_of
from rlkit.learners.datasets.delimited import MISSING, DataTable, is_exact, parse


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
    table = parse(decoded(content(path, "data.path")), delimiter, missing, path)
    if target is not None and target not in table.columns:
        raise UsageError(f"data.target={target} is no column of {path}{nearest(target, table.columns)}")
    others = [column for column in table.columns if column != target]
    names = chosen(others, features)
    y, task = (None, task) if target is None else _labels(table, target, task)
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
    archive = opened(content(path, "data.path"), "data.path", path)
    X = archive.rows("data.inputs", inputs)
    shape = _image_shape(X)
    flat = X.reshape(len(X), -1).astype(np.float64)
    names = () if shape is not None else tuple(f"x{i}" for i in range(flat.shape[1]))
    y = None if target is None else _target(archive.array("data.target", target), target, len(X))
    return replace(_dataset(flat, y, names, target, task), image_shape=shape)


def _image_shape(X: Array) -> tuple[int, int, int] | None:
    if X.ndim == 3:
        return (1, X.shape[1], X.shape[2])
    return (X.shape[1], X.shape[2], X.shape[3]) if X.ndim == 4 else None


def _target(y: Array, name: str, rows: int) -> Array:
    """Return an array to predict [n], texts as strings."""
    if y.shape != (rows,) or y.dtype.kind not in "biufUS":
        raise UsageError(
            f"data.target={name} is an array {list(y.shape)} of {y.dtype}; it must have a number or text for each of "
            f"the {rows} rows"
        )
    return np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y


def _labels(table: DataTable, target: str, task: str) -> tuple[Array, str]:
    """Return a target without gaps, text or numbers, and the task: classes never lose a digit."""
    cells, written = table.cells[target], table.written[target]
    gaps = np.array([cell is None for cell in cells]) if cells.dtype == object else np.isnan(cells)
    if gaps.any():
        raise UsageError(
            f"data.target={target} has {gaps.sum()} gaps in {table.name}; drop those rows, or set data.missing where "
            "they mean something"
        )
    if cells.dtype == object:
        return np.array([str(cell) for cell in cells]), task
    table.matrix([target])
    if not np.all(cells == np.round(cells)):
        return cells, task
    if all(map(is_exact, written, cells)):
        return cells.astype(np.int64), task
    if task == "auto":
        task = "classification" if len(set(written)) <= MOST_CLASSES else "regression"
    return (np.array(written) if task == "classification" else cells), task


def _dataset(X: Array, y: Array | None, names: Sequence[str], target: str | None, task: str) -> Dataset:
    found = require_task(task)
    if y is None:
        return Dataset("clustering", Rows(X), tuple(names))
    found = task_of(y) if task == "auto" else found
    if found == "regression":
        if y.dtype.kind in "US":
            raise UsageError(f"data.target={target} is text, and data.task=regression takes numbers")
        y = y.astype(np.float64)
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
    train = parse(decoded(read(place, "train.csv")), ",", HOUSE_GAPS, "train.csv")
    # A column is of one kind in both files: text in the one is text in the other.
    kinds = {column: True for column in train.columns if train.cells[column].dtype == object}
    test = parse(decoded(read(place, "test.csv")), ",", HOUSE_GAPS, "test.csv", kinds)
    others = [column for column in train.columns if column not in ("Id", "SalePrice")]
    names = chosen(others, features)
    X = train.matrix(names)
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
