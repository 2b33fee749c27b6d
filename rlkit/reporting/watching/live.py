"""Runs whose tables are read as they grow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from rlkit.core.types import Array
from rlkit.fitting.run import FitRun
from rlkit.fitting.session import HISTORIES
from rlkit.reporting.columns import TABLES
from rlkit.reporting.curves import RETURNS, Returns, more_returns
from rlkit.reporting.groups import settings
from rlkit.reporting.watching.growing import GrowingTable
from rlkit.runs.folder import read_config
from rlkit.runs.run import Run

WANTED: Mapping[str, tuple[str, ...]] = {
    "metrics": ("step", *HISTORIES),
    "episodes": RETURNS,
    "evaluations": ("step", "return/raw"),
    "timings": ("step", "time/steps_per_second", "time/fit_seconds"),
}
"""The columns that a report shows."""


class LiveTables:
    """The tables of a run folder, each read as far as it was asked for."""

    def __init__(self, directory: Path):
        self._tables = {name: GrowingTable(directory / f"{name}.csv", WANTED[name]) for name in TABLES}
        self._returns = Returns(np.zeros(0), np.zeros(1))
        self._counted = 0  # episodes that are in them

    def __getitem__(self, name: str) -> Mapping[str, Array]:
        """Return the columns of a table as far as they are read, [rows] float64 each."""
        return self._tables[name].columns

    def read(self, deadline: float, *names: str) -> bool:
        """Read what was appended to tables until a `time.monotonic`; return whether there was something.

        Raises:
            UsageError: one is damaged.
        """
        new = False
        for name in names or TABLES:
            while self._tables[name].read():
                new = True
                if time.monotonic() > deadline:
                    break
        return new

    @property
    def unread(self) -> int:
        """Bytes that are yet to be read."""
        return sum(table.unread for table in self._tables.values())

    @property
    def size(self) -> int:
        """Bytes of all tables."""
        return sum(table.size for table in self._tables.values())

    @property
    def last_step(self) -> int:
        """The last step of any of the files, read or not."""
        return max(table.last_step() for table in self._tables.values())

    def returns(self) -> Returns:
        """Return the returns of the episodes that are read."""
        columns = [self["episodes"].get(name, np.zeros(0)) for name in RETURNS]
        if len(columns[0]) < self._counted:
            self._returns, self._counted = Returns(np.zeros(0), np.zeros(1)), 0
        if len(columns[0]) > self._counted:
            self._returns = more_returns(self._returns, *(column[self._counted :] for column in columns))
            self._counted = len(columns[0])
        return self._returns


class LiveRun(Run):
    """A training run whose tables are read as they grow."""

    tables = TABLES

    def __init__(self, directory: Path):
        """Open a run folder.

        Raises:
            UsageError: it is not a run of `rlkit train`.
        """
        super().__init__(directory)
        self.live = LiveTables(directory)

    @cached_property
    def settings(self) -> str:
        """What the runs of its group have in common."""
        return settings(self.values)

    def returns(self) -> Returns:
        """Return the returns of the training episodes that are read."""
        return self.live.returns()

    @property
    def metrics(self) -> Mapping[str, Array]:  # type: ignore[override]
        """Columns of metrics.csv that a report shows, [rows] float64 each."""
        return self.live["metrics"]

    @property
    def episodes(self) -> Mapping[str, Array]:  # type: ignore[override]
        """Columns of episodes.csv that a report shows, [rows] float64 each."""
        return self.live["episodes"]

    @property
    def evaluations(self) -> Mapping[str, Array]:  # type: ignore[override]
        """Columns of evaluations.csv that a report shows, [rows] float64 each."""
        return self.live["evaluations"]

    @property
    def timings(self) -> Mapping[str, Array]:
        """Columns of timings.csv that a report shows, [rows] float64 each."""
        return self.live["timings"]


class LiveFitRun(FitRun):
    """A run of `rlkit fit` whose tables are read as they grow."""

    tables = ("metrics", "timings")

    def __init__(self, directory: Path):
        """Open a run folder.

        Raises:
            UsageError: it is not a run of `rlkit fit`.
        """
        super().__init__(directory)
        self.live = LiveTables(directory)

    @cached_property
    def settings(self) -> str:
        """What the runs of its group have in common."""
        return settings(self.values)

    @property
    def metrics(self) -> Mapping[str, Array]:  # type: ignore[override]
        """Columns of metrics.csv that a report shows, [rows] float64 each."""
        return self.live["metrics"]

    @property
    def timings(self) -> Mapping[str, Array]:
        """Columns of timings.csv that a report shows, [rows] float64 each."""
        return self.live["timings"]


AnyLiveRun = LiveRun | LiveFitRun


def opened(directory: Path) -> AnyLiveRun:
    """Return the run in a folder.

    Raises:
        UsageError: there is none, or its configuration is damaged.
    """
    kind = LiveFitRun if "learner" in read_config(directory) else LiveRun
    return kind(directory)
