"""Predictions as CSV files, and the rows of a user's file that they are made for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.files import writing
from rlkit.core.types import Array, UsageError
from rlkit.learners.datasets.archives import opened
from rlkit.learners.datasets.cache import content, decoded
from rlkit.learners.datasets.delimited import MISSING, parse
from rlkit.learners.datasets.images import SUFFIXES, flat_image
from rlkit.learners.datasets.ratings import RatingTriples, scaled, triples


class Input(NamedTuple):
    """Rows to predict."""

    X: Any
    ids: tuple[str, Sequence[Any]]  # the name of their column, and what is in it


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], key: str = "") -> Path:
    """Write a table; numbers are written so that they read back exactly.

    Args:
        path: the file.
        header: the names of the columns.
        rows: their cells.
        key: that names the file on the command line; empty where none does.

    Raises:
        UsageError: the file cannot be written; one that was there is as before.
        RunError: the same of a file that no key names.
    """
    with writing(path, key) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(cell) for cell in row] for row in rows)
    return path


def _cell(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def read_input(path: str, about: Mapping[str, Any], array: str) -> Input:
    """Return the rows of a file or folder as the model takes them.

    A table's columns are found by their names; others are left alone, and the first of them that is called like an id
    (``Id``) stays beside the predictions, as it is written.

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
    read = content(path, "input")
    suffix = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if suffix == ".npz":
        return _array(read, path, array, about)
    if about["texts"]:
        return _texts(decoded(read), path)
    return _table(decoded(read), "\t" if suffix in (".tsv", ".tab") else ",", path, about)


def _texts(text: str, path: str) -> Input:
    """Return the lines that are not blank, each with its number in the file."""
    lines = {number: line.strip() for number, line in enumerate(text.split("\n"), start=1) if line.strip()}
    if not lines:
        raise UsageError(f"input={path} holds no text: each line is one")
    return Input(np.array([*lines.values()], dtype=object), ("line", [*lines]))


def read_ratings(path: str, ratings: Mapping[str, Any]) -> tuple[Array, Any]:
    """Return users and what is known of them, CSR [users, items], from lines of user, item and value.

    Args:
        path: a file with commas or tabs between its cells.
        ratings: what the model knows of its items.

    Raises:
        UsageError: the file cannot be read, has a pair twice, or holds no item that the model knows.
    """
    from scipy.sparse import csr_array

    lines = decoded(content(path, "input")).replace("\t", ",").split("\n")
    found = triples(lines, ",")
    _require_once(found, path)
    items = np.asarray(ratings["items"])
    place = np.searchsorted(items, found.item).clip(max=len(items) - 1)
    known = items[place] == found.item
    if not known.any():
        raise UsageError(f"input={path} holds no item that the model knows, e.g. {items[0]}")
    users, user = np.unique(found.user[known], return_inverse=True)
    values = scaled(found.value[known], ratings["scale"])
    return users, csr_array((values, (user, place[known])), shape=(len(users), len(items)))


def _require_once(found: RatingTriples, path: str) -> None:
    """Refuse a pair that comes twice, as `rlkit fit` does: its values would be added up."""
    pairs, counts = np.unique(np.stack((found.user, found.item)), axis=1, return_counts=True)
    for user, item in pairs[:, counts > 1].T[:1]:
        raise UsageError(f"input={path} has the user {user} and the item {item} twice; keep one of the two lines")


def _table(text: str, delimiter: str, path: str, about: Mapping[str, Any]) -> Input:
    features = about["features"]
    if not features:
        raise UsageError(f"input={path} is a table, but the model takes {_taken(about)}")
    texts = set(about["text_features"])
    kinds = {name: name in texts for name in features}
    table = parse(text, delimiter, about["missing"] or MISSING, f"input={path}", kinds)
    X = table.matrix(features)
    ids = [name for name in table.columns if name.lower() == "id" and name not in features]
    return Input(X, (ids[0], table.written[ids[0]]) if ids else ("row", range(1, len(X) + 1)))


def _array(content: bytes, path: str, name: str, about: Mapping[str, Any]) -> Input:
    if about["texts"]:
        raise UsageError(f"input={path} holds arrays, but the model takes {_taken(about)}")
    X = opened(content, "input", path).rows("array", name)
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
    if about["texts"]:
        return "texts, one to a line"
    if about["features"]:
        return "a table"
    return "images: a folder of them, or an .npz file" if about["image_shape"] else "arrays, in an .npz file"
