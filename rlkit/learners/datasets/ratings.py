"""Ratings and plays: pairs of a user and an item, with a value."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.ranges import LARGEST, NonNegativeInt
from rlkit.core.types import Array, FromRun, UsageError
from rlkit.learners.datasets.cache import DataSource, content, decoded, read
from rlkit.learners.datasets.dataset import Dataset, Rows

SCALES = {"none": np.asarray, "log1p": np.log1p, "binary": np.ones_like}
"""How values are transformed: plays span five powers of ten, which their logarithm does not."""


ID = re.compile(r"0|-?[1-9][0-9]*")
"""A whole number that is written as it would be printed."""


class RatingTriples(NamedTuple):
    """Ratings, or plays, one a row."""

    user: Array  # [n] int64, the data set's own numbers
    item: Array  # [n] int64, likewise
    value: Array  # [n] float64


class HoldOut(NamedTuple):
    """The ratings to hold out: `per_user` of each user who has `at_least` so many."""

    per_user: int
    at_least: int


def as_dataset(pairs: RatingTriples, scale: str = "none", names: Mapping[int, str] | None = None) -> Dataset:
    """Return pairs as a data set, whose X is the sparse matrix [users, items]; missing is not zero.

    Rows and columns are in the order of the users' and items' own numbers, which are in ``extra``.

    Args:
        pairs: users, items and values, with any numbers for users and items.
        scale: one of `SCALES`, for the values.
        names: of items, by their numbers.

    Raises:
        UsageError: there is no such scale.
    """
    from rlkit.learners.estimators.interactions import interactions

    matrix, users, items = interactions(pairs.user, pairs.item, scaled(pairs.value, scale))
    extra = {"users": users, "items": items, "scale": scale}
    shown = tuple((names or {}).get(int(number), str(number)) for number in items)
    return Dataset("recommendation", Rows(matrix), target="rating", items=shown, extra=extra)


def scaled(values: Array, scale: str) -> Array:
    """Return values [n], transformed by `scale`, as float64.

    Raises:
        UsageError: there is no such scale.
    """
    if scale not in SCALES:
        raise UsageError(f"there is no data.scale={scale}{nearest(scale, SCALES)}")
    change: Any = SCALES[scale]
    return np.asarray(change(values), np.float64)


def lastfm(
    url: str,
    folder: str | None,
    scale: str,
    give: NonNegativeInt,
    least: NonNegativeInt,
    notify: FromRun[Callable[[str], None]],
) -> Dataset:
    """Return how often 1,892 listeners played 17,632 artists (HetRec 2011): 92,834 pairs.

    Args:
        url: of the archive.
        folder: the user's own folder with ``user_artists.dat`` and ``artists.dat``, or the archive.
        scale: one of `SCALES`, for the plays.
        give: artists held out of each listener who has at least `least`, unless the run sets ``test_size``; 0: a share
            of all pairs is held out.
        least: see `give`.
        notify: takes a line for the user.

    Raises:
        UsageError: the user's folder does not hold the files, or there is no such scale.
        RunError: they cannot be downloaded.
    """
    place = DataSource("lastfm", url, folder, notify=notify)
    pairs = triples(decoded(read(place, "user_artists.dat")).split("\n"), "\t")
    names = _names(decoded(read(place, "artists.dat")).split("\n"), "\t", quoted=False)
    return _held_out(as_dataset(pairs, scale, names), give, least)


def movielens(
    url: str,
    folder: str | None,
    scale: str,
    give: NonNegativeInt,
    least: NonNegativeInt,
    notify: FromRun[Callable[[str], None]],
) -> Dataset:
    """Return MovieLens' ratings from 0.5 to 5 stars (``ml-latest-small``: about 100,000); arguments as in `lastfm`."""
    place = DataSource("movielens", url, folder, notify=notify)
    pairs = triples(decoded(read(place, "ratings.csv")).split("\n"), ",")
    names = _names(decoded(read(place, "movies.csv")).split("\n"), ",", quoted=True)
    return _held_out(as_dataset(pairs, scale, names), give, least)


def ratings_file(path: str, delimiter: str, scale: str, give: NonNegativeInt, least: NonNegativeInt) -> Dataset:
    """Return a user's own ratings: lines of user, item and value, the first two whole numbers; a header is skipped.

    Args:
        path: the file, which may be packed with gzip.
        delimiter: between cells.
        scale: as in `lastfm`.
        give: as in `lastfm`; 0: a share of all pairs is held out.
        least: as in `lastfm`.

    Raises:
        UsageError: the file cannot be read, or holds no such lines.
    """
    text = decoded(content(path, "data.path"))
    return _held_out(as_dataset(triples(text.split("\n"), delimiter), scale), give, least)


def triples(lines: Iterable[str], delimiter: str) -> RatingTriples:
    """Return the lines of two whole numbers and a value, and skip those at the start that are not.

    Raises:
        UsageError: there are none, one after them is no such line, an id is no whole number of 64 bits as it is
            written (007 would become 7), or a value is not finite.
    """
    if not delimiter:
        raise UsageError("data.delimiter is empty; it must be what is between the cells, e.g. data.delimiter=;")
    rows: list[tuple[int, int, float]] = []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        try:
            rows.append((int(cells[0]), int(cells[1]), float(cells[2])))
        except (ValueError, IndexError) as error:
            if rows and line.strip():
                raise UsageError(f"line {number} of the ratings is no user, item and value: {line[:60]!r}") from error
        else:
            _check_triple(cells, rows[-1], number)
    if not rows:
        raise UsageError(f"the ratings hold no line of user, item and value between {delimiter!r}; set data.delimiter")
    user, item, value = zip(*rows, strict=True)
    return RatingTriples(np.array(user), np.array(item), np.array(value, np.float64))


def _check_triple(cells: Sequence[str], row: tuple[int, int, float], number: int) -> None:
    for cell in cells[:2]:
        if not ID.fullmatch(cell) or abs(int(cell)) > LARGEST:
            raise UsageError(
                f"line {number} of the ratings has the id {cell[:60]!r}; ids are whole numbers without leading zeros, "
                "less than 2^63: number the users and items"
            )
    if not np.isfinite(row[2]):
        raise UsageError(
            f"line {number} of the ratings has the value {cells[2]}; it must be finite: leave the line out"
        )


def _names(lines: Sequence[str], delimiter: str, *, quoted: bool) -> Mapping[int, str]:
    """Return the second cell of each line by the number in the first: names go by id, not by position."""
    return {int(row[0]): row[1] for row in _rows(lines, delimiter, quoted) if row[0].isdigit()}


def _rows(lines: Sequence[str], delimiter: str, quoted: bool) -> Iterator[list[str]]:
    # last.fm's names hold quotation marks that open nothing.
    rows = csv.reader(lines, delimiter=delimiter) if quoted else (line.split(delimiter) for line in lines)
    return (row for row in rows if len(row) > 1)


def _held_out(data: Dataset, give: int, least: int) -> Dataset:
    """Return a data set that says what a run holds out: `give` of each user who has `least`, or a share of all."""
    if give and least <= give:
        raise UsageError(f"data.least is {least}; it must be above data.give={give}, or nothing is left to learn from")
    if give:
        return replace(data, extra={**data.extra, "hold_out": HoldOut(give, least)})
    unused = f"data.give=0 holds out a share of all pairs, test_size=, so that data.least={least} does nothing"
    return replace(data, notes=(*data.notes, unused)) if least else data
