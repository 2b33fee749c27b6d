"""Predictions as CSV files, and the rows of a user's file that they are made for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import Array, UsageError
from rlkit.learners.datasets.cache import decoded, unpacked
from rlkit.learners.datasets.images import SUFFIXES, flat_image
from rlkit.learners.datasets.ratings import scaled, triples
from rlkit.learners.datasets.tables import MISSING, parse


class Input(NamedTuple):
    """Rows to predict."""

    X: Any
    ids: tuple[str, Sequence[Any]]  # the name of their column, and what is in it


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table; numbers are written so that they read back exactly.

    Raises:
        UsageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_cell(cell) for cell in row] for row in rows])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"out={path} cannot be written: {error.strerror}; choose another out=") from error
    return path


def _cell(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def read_input(path: str, about: Mapping[str, Any], array: str) -> Input:
    """Return the rows of a file or folder as the model takes them.

    A table's columns are found by their names; others are left alone, and the first of them that is called like an id
    (``Id``) stays beside the predictions.

    Args:
        path: a CSV, TSV, text (one to a line), NumPy (``.npz``) or image file, or a folder of images.
        about: what the model knows of its data.
        array: the array of an ``.npz`` file.

    Raises:
        UsageError: it cannot be read, or is not what the model takes.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise UsageError(f"input={path} is not there")
    if file.is_dir() or file.suffix.lower() in SUFFIXES:
        return _images(file, about)
    content = file.read_bytes()
    suffix = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if suffix == ".npz":
        return _array(content, path, array, about)
    text = decoded(unpacked(content))
    if about["texts"]:
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        return Input(np.array(lines, dtype=object), ("line", range(1, len(lines) + 1)))
    return _table(text, "\t" if suffix in (".tsv", ".tab") else ",", path, about)


def read_ratings(path: str, ratings: Mapping[str, Any]) -> tuple[Array, Any]:
    """Return users and what is known of them, CSR [users, items], from lines of user, item and value.

    Args:
        path: a file with commas or tabs between its cells.
        ratings: what the model knows of its items.

    Raises:
        UsageError: the file cannot be read, or holds no item that the model knows.
    """
    from scipy.sparse import csr_array

    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"input={path} is no file of ratings: lines of user, item and value")
    lines = decoded(unpacked(file.read_bytes())).replace("\t", ",").split("\n")
    found = triples(lines, ",")
    items = np.asarray(ratings["items"])
    place = np.searchsorted(items, found.item).clip(max=len(items) - 1)
    known = items[place] == found.item
    if not known.any():
        raise UsageError(f"input={path} holds no item that the model knows, e.g. {items[0]}")
    users, user = np.unique(found.user[known], return_inverse=True)
    values = scaled(found.value[known], ratings["scale"])
    return users, csr_array((values, (user, place[known])), shape=(len(users), len(items)))


def _table(text: str, delimiter: str, path: str, about: Mapping[str, Any]) -> Input:
    table = parse(text, delimiter, about["missing"] or MISSING, path)
    if not about["features"]:
        raise UsageError(f"input={path} is a table, but the model takes images: pass a folder of them, or an .npz file")
    for name in about["features"]:
        if name not in table.columns:
            raise UsageError(f"input={path} has no column {name}{nearest(name, table.columns)}")
    X = table.matrix(about["features"])
    ids = [name for name in table.columns if name.lower() == "id" and name not in about["features"]]
    if not ids:
        return Input(X, ("row", range(1, len(X) + 1)))
    cells = table.cells[ids[0]]
    whole = cells.dtype != object and np.all(cells == np.round(cells))
    return Input(X, (ids[0], (cells.astype(np.int64) if whole else cells).tolist()))


def _array(content: bytes, path: str, name: str, about: Mapping[str, Any]) -> Input:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if name not in archive.files:
                raise UsageError(f"array={name} is no array of {path}{nearest(name, archive.files)}")
            X = archive[name]
    except (ValueError, OSError, AttributeError) as error:
        raise UsageError(f"input={path} is no archive of plain arrays (numpy.savez): {error}") from error
    flat = X.reshape(len(X), -1)
    _require_columns(flat, path, about)
    return Input(flat, ("row", range(1, len(X) + 1)))


def _require_columns(X: Array, path: str, about: Mapping[str, Any]) -> None:
    if about["columns"] is not None and X.shape[1] != about["columns"]:
        raise UsageError(f"input={path} has {X.shape[1]} columns, and the model takes {about['columns']}")


def _images(path: Path, about: Mapping[str, Any]) -> Input:
    if about["image_shape"] is None:
        raise UsageError(f"input={path} has images, but the model takes {_taken(about)}")
    channels, height, width = about["image_shape"]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"input={path} has no images ({', '.join(SUFFIXES)})")
    X = np.stack([flat_image(file, (height, width), channels == 1) for file in files])
    names = [file.relative_to(path).as_posix() if path.is_dir() else file.name for file in files]
    return Input(X, ("file", names))


def _taken(about: Mapping[str, Any]) -> str:
    return "texts, one to a line" if about["texts"] else "a table"
