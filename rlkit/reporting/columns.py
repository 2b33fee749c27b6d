"""Columns of a run's CSV files; a run that was made without them has empty ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlkit.core.csv_tables import read_table
from rlkit.core.types import Array
from rlkit.fitting.run import FitRun
from rlkit.runs.run import Run

AnyRun = Run | FitRun

TABLES = ("metrics", "episodes", "evaluations", "timings")


def columns(run: AnyRun, table: str) -> Mapping[str, Array]:
    """Return the columns of a table, [rows] float64 each; none where the run does not have it.

    Raises:
        UsageError: the file is damaged.
    """
    path = run.directory / f"{table}.csv"
    if not path.exists():
        return {}
    found: Mapping[str, Array] = getattr(run, table) if table in run.tables else read_table(path)
    return found


def column(run: AnyRun, table: str, name: str) -> Array:
    """Return a column, [rows] float64; empty where there is none."""
    return columns(run, table).get(name, np.zeros(0))


def last_step(run: AnyRun) -> int:
    """Return the last step of a run."""
    return int(max((steps[-1] for table in TABLES if len(steps := column(run, table, "step"))), default=0))
