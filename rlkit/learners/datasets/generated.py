"""Generated data sets: small shapes that show a learner's limits, and ratings whose factors are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np

from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, PositiveShare, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, FromRun, UsageError
from rlkit.learners.datasets.dataset import Dataset, Rows
from rlkit.learners.datasets.ratings import RatingTriples, as_dataset

PLANE = ("x", "y")

MEAN = 3.0
"""Of planted ratings."""

AMOUNTS = (50, 10, 20, 5, 95, 70, 100, 200, 0)
DISCOUNTS = (0, 1, 1, 1, 0, 0, 0, 0, 1)


def discounts() -> Dataset:
    """Return nine customers: what each spent, and whether a discount was offered."""
    X = np.array(AMOUNTS, np.float64)[:, None]
    return Dataset("classification", Rows(X, np.array(DISCOUNTS)), ("amount",), "discount", ("none", "discount"))


def donut(
    rows: Annotated[int, Range(4)], held_out: NonNegativeInt, noise: NonNegativeFloat, rng: FromRun[np.random.Generator]
) -> Dataset:
    """Return a ball (class 0, radius 1) inside a ring (class 1, radii 1.5 to 2.5), in a random order.

    Args:
        rows: to learn from, half of each class.
        held_out: further rows, kept for scoring.
        noise: standard deviation of what is added to each coordinate.
        rng: draws everything.
    """
    _require_rows(rows, held_out)
    made = [_disc(n, noise, rng) for n in (rows, held_out)]
    return Dataset("classification", made[0], PLANE, "part", ("ball", "ring"), held_out=made[1] if held_out else None)


def _disc(rows: int, noise: float, rng: np.random.Generator) -> Rows:
    y = np.arange(rows) % 2
    inner, outer = np.where(y, 1.5, 0.0), np.where(y, 2.5, 1.0)
    # Uniform over the area: the square of the radius is uniform.
    radius = np.sqrt(rng.uniform(inner**2, outer**2))
    angle = rng.uniform(0, 2 * np.pi, rows)
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return _mixed(X + rng.normal(0, noise, X.shape), y, rng)


def xor(rows: Annotated[int, Range(4)], noise: NonNegativeFloat, rng: FromRun[np.random.Generator]) -> Dataset:
    """Return the four corners of a square, class 1 where the coordinates differ.

    Args:
        rows: how many; they take turns at the corners. Four without noise are the truth table.
        noise: as in `donut`.
        rng: draws everything.
    """
    _require_rows(rows)
    corner = np.arange(rows) % 4
    X = np.column_stack([corner // 2, corner % 2]).astype(np.float64)
    y = (corner // 2) ^ (corner % 2)
    return Dataset("classification", _mixed(X + rng.normal(0, noise, X.shape), y, rng), PLANE, "differ", ("no", "yes"))


def moons(rows: Annotated[int, Range(4)], noise: NonNegativeFloat, rng: FromRun[np.random.Generator]) -> Dataset:
    """Return two half circles that reach into each other; arguments as in `donut`."""
    _require_rows(rows)
    y = np.arange(rows) % 2
    angle = rng.uniform(0, np.pi, rows)
    x = np.where(y, 1 - np.cos(angle), np.cos(angle))
    height = np.where(y, 0.5 - np.sin(angle), np.sin(angle))
    X = np.column_stack([x, height]) + rng.normal(0, noise, (rows, 2))
    return Dataset("classification", _mixed(X, y, rng), PLANE, "moon", ("upper", "lower"))


def bits(
    rows: PositiveInt, length: PositiveInt, pattern: str | None, repeat: PositiveInt, rng: FromRun[np.random.Generator]
) -> Dataset:
    """Return strings of bits, a column each, and how many of them are 1.

    Args:
        rows: how many.
        length: bits drawn for each.
        pattern: the string of all rows, of 0 and 1; None: drawn.
        repeat: how often each string stands in its row.
        rng: draws them.

    Raises:
        UsageError: a pattern of something else.
    """
    if pattern is not None and (not pattern or set(pattern) - {"0", "1"}):
        raise UsageError(f'data.pattern is {pattern!r}; it must be a string of 0 and 1, such as "0000101010"')
    columns = repeat * (length if pattern is None else len(pattern))
    require_memory(9 * rows * columns, f"{rows:,} strings of {columns:,} bits", "set {rows} or {length} lower")
    fixed = None if pattern is None else np.array([[int(bit) for bit in pattern]])
    drawn = rng.integers(2, size=(rows, length)) if fixed is None else fixed.repeat(rows, 0)
    X = np.tile(drawn, (1, repeat)).astype(np.float64)
    return Dataset("regression", Rows(X, X.sum(1)), tuple(f"bit {i + 1}" for i in range(columns)), "ones")


class Planted(NamedTuple):
    """The factors behind ratings, in the order of the rows and columns of their matrix."""

    users: Array  # [U, F]
    items: Array  # [I, F]

    def ratings(self, columns: Array) -> Array:
        """Return the ratings [U, C] of all users for some items [C]."""
        return np.asarray(MEAN + self.users @ self.items[columns].T / np.sqrt(self.users.shape[1]))


def planted_ratings(
    users: PositiveInt,
    items: PositiveInt,
    factors: PositiveInt,
    density: PositiveShare,
    noise: NonNegativeFloat,
    rng: FromRun[np.random.Generator],
) -> Dataset:
    """Return ratings around 3, as the product of `factors` standard normal factors of users and items.

    ``extra["truth"]`` has all ratings without noise, as a `Planted`.

    Args:
        users: rows.
        items: columns.
        factors: of each user and item; their product has unit variance.
        density: the share of ratings that are known, drawn at random.
        noise: standard deviation of what is added to each.
        rng: draws everything.
    """
    what = f"ratings of {users:,} users and {items:,} items by {factors:,} factors"
    require_memory(8 * (factors * (users + items) + 3 * users * items), what, "set {users}, {items} or {factors} lower")
    of_users, of_items = rng.normal(size=(users, factors)), rng.normal(size=(items, factors))
    known = np.flatnonzero(rng.random(users * items) < density)
    user, item = known // items, known % items
    value = MEAN + np.einsum("nf,nf->n", of_users[user], of_items[item]) / np.sqrt(factors)
    data = as_dataset(RatingTriples(user, item, value + rng.normal(0, noise, len(known))))
    truth = Planted(of_users[data.extra["users"]], of_items[data.extra["items"]])
    return replace(data, extra={**data.extra, "truth": truth})


def _mixed(X: Array, y: Array, rng: np.random.Generator) -> Rows:
    order = rng.permutation(len(y))
    return Rows(X[order], y[order])


def _require_rows(rows: int, held_out: int = 0) -> None:
    remedy = "set {rows} or {held_out} lower" if held_out else "set {rows} lower"
    require_memory(150 * (rows + held_out), f"a data set of {rows + held_out:,} rows", remedy)
    if rows < 4 or held_out < 0:
        raise UsageError(f"data.rows is {rows} and data.held_out {held_out}; there must be at least 4 and 0")
