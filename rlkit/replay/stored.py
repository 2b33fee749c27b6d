"""Checks of a stored replay, which may be somebody else's, before anything of it is used as a place or a size."""

from __future__ import annotations

import re

import numpy as np

from rlkit.core.alike import require_alike
from rlkit.core.stored_state import Segment
from rlkit.core.types import Array, State

SEGMENT_NAME = re.compile(r"replay-(rows|frames)-(\d{1,18})-(\d{1,18})", re.ASCII)
COUNTS = ("total", "first", "shown")


def require_state(state: State, capacity: int, stack: int) -> None:
    """Check the state of a replay of `capacity` transitions, whose observations stack `stack` frames.

    Raises:
        ValueError: it is another's; the message names what.
    """
    n = np.size(state["tail"])
    own = {"current": np.zeros((n, stack), np.int64), "tail": np.zeros(n, np.int64), "broken": np.zeros(n, bool)}
    require_alike(state, {**own, **dict.fromkeys(COUNTS, 0), "rows": [], "frames": []}, "agent.replay")
    total, first, shown = (state[name] for name in COUNTS)
    if not all(type(state[name]) is int for name in COUNTS) or not 0 <= first <= total <= first + capacity:
        raise ValueError(f"agent.replay holds rows {first} to {total}, which is not up to {capacity} of them")
    rows = [_span(segment, "rows") for segment in state["rows"]]
    if sum(high - low for low, high in rows) != total - first or any(high > total for _, high in rows):
        raise ValueError(f"agent.replay has rows {first} to {total}, and segments of others")
    if any(high > shown for _, high in (_span(segment, "frames") for segment in state["frames"])):
        raise ValueError(f"agent.replay has {shown} frames, and segments of others")


def _span(segment: object, kind: str) -> tuple[int, int]:
    """Return the numbers of the first row in a segment, and of the first after it."""
    found = SEGMENT_NAME.fullmatch(segment.name) if isinstance(segment, Segment) else None
    if found is None or found[1] != kind or int(found[2]) > int(found[3]):
        raise ValueError(f"agent.replay.{kind} holds {str(segment)[:60]}, which is no segment of {kind}")
    return int(found[2]), int(found[3])


def require_rows(rows: dict[str, Array], name: str) -> dict[str, Array]:
    """Return the columns [K, ...] of a segment of rows, if they are those that its `name` says.

    Raises:
        ValueError: they are not.
    """
    low, high = map(int, name.split("-")[2:])
    dtypes = {"window": "int32", "oldest": "int64", "env": "int32", "follows": "bool", "reward": "float32"}
    for column, dtype in {**dtypes, "discount": "float32"}.items():
        if column not in rows or rows[column].dtype != dtype:
            raise ValueError(f"{name} has no column {column} of {dtype}")
    if any(len(values) != high - low for values in rows.values()) or rows["window"].ndim != 2:
        raise ValueError(f"{name} does not hold {high - low} rows")
    return rows


def require_priorities(priorities: Array, size: int) -> Array:
    """Return `priorities` [size] float64, if they are finite and not negative.

    Raises:
        ValueError: they are not.
    """
    require_alike(priorities, np.zeros(size), "agent.replay.priorities", learned=True)
    if len(priorities) != size or (priorities < 0).any():
        raise ValueError(f"agent.replay.priorities are not {size} numbers of at least 0")
    return priorities
