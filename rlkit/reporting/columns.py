"""Columns of a run's CSV files; a run that was made without them has empty ones."""

from __future__ import annotations

import numpy as np

from rlkit.core.csv_tables import read_table
from rlkit.core.types import Array
from rlkit.fitting.run import FitRun
from rlkit.runs.run import Run

AnyRun = Run | FitRun

TABLES = ("metrics", "episodes", "evaluations", "timings")


def column(run: AnyRun, table: str, name: str) -> Array:
    """Return a column, [rows] float64; empty where there is none."""
    if not (run.directory / f"{table}.csv").exists():
        return np.zeros(0)
    columns = read_table(run.directory / f"{table}.csv") if table == "timings" else getattr(run, table)
    found: Array = columns.get(name, np.zeros(0))
    return found


def last_step(run: AnyRun) -> int:
    """Return the last step of a run."""
    return int(max((steps[-1] for table in TABLES if len(steps := column(run, table, "step"))), default=0))
