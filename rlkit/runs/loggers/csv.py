"""The run folder's CSV files: the source of every curve, table and dashboard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkit.core.callback import CLOCK, Callback, RunInfo
from rlkit.core.statistics import Episode, EvaluationResult
from rlkit.core.types import Metrics, RunError, State

EPISODES = ("step", "env", "return/raw", "return/learner", "length", "truncated_by_checkpoint")
EVALUATIONS = ("step", "episode", "return/raw", "length", "final")


class Table:
    """One CSV file that grows by rows, and by columns at the right when a new metric appears.

    A column that appears later is empty in the rows before it.
    """

    def __init__(self, path: Path, columns: Sequence[str]):
        self.path = path
        self._columns = list(columns)
        self._lines: list[str] = []

    def append(self, row: Mapping[str, float | int | bool]) -> None:
        """Add a row; floats are written so that they read back exactly."""
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        self._lines.append(",".join(_cell(row.get(name)) for name in self._columns))

    def flush(self) -> None:
        """Write what was added."""
        if not self.path.exists():
            self.path.write_text(",".join(self._columns) + "\n")
        if self._lines:
            with self.path.open("a") as file:
                file.write("\n".join(self._lines) + "\n")
            self._lines = []

    def state_dict(self) -> State:
        """Write what was added and return the columns and the length of the file in bytes."""
        self.flush()
        return {"columns": list(self._columns), "bytes": self.path.stat().st_size}

    def load_state_dict(self, state: State) -> None:
        """Truncate the file to what it held at `state_dict`.

        Raises:
            RunError: the file holds less.
        """
        self._columns, self._lines = list(state["columns"]), []
        width = len(self._columns)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines and lines[0] != ",".join(self._columns):
            _replace(self.path, [",".join(line.split(",")[:width]) for line in lines])
        if not self.path.exists() or self.path.stat().st_size < state["bytes"]:
            raise RunError(
                f"{self.path} is shorter than its checkpoint says ({state['bytes']} bytes); put it back whole"
            )
        os.truncate(self.path, state["bytes"])

    def keep_until(self, step: int) -> None:
        """Read the file's own columns and drop its rows after `step`, and a line that a kill left incomplete."""
        if not self.path.exists():
            return
        header, *rows = self.path.read_text().splitlines(keepends=True) or [""]
        self._columns = header.strip().split(",") if header.strip() else self._columns
        whole = [row.strip() for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
        _replace(self.path, [",".join(self._columns), *whole])

    def _widen(self, new: Sequence[str]) -> None:
        self.flush()
        lines = self.path.read_text().splitlines()
        self._columns += new
        empty = "," * len(new)
        _replace(self.path, [",".join(self._columns), *(line + empty for line in lines[1:])])


class CsvLogger(Callback):
    """Writes metrics.csv, episodes.csv, evaluations.csv and timings.csv into the run folder.

    All that depends on the clock is in timings.csv, so that the others are equal byte for byte in equal runs.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._saved: State | None = None

    def start(self, run: RunInfo) -> None:
        """Open the files; on resume truncate them to the checkpoint's length."""
        headers = {"metrics": ("step",), "episodes": EPISODES, "evaluations": EVALUATIONS, "timings": ("step",)}
        self._tables = {name: Table(run.directory / f"{name}.csv", headers[name]) for name in run.tables}
        if self._saved is None:
            # An earlier start of this run was killed before its first checkpoint: these rows will be written again.
            for table in self._tables.values():
                table.path.unlink(missing_ok=True)
        else:
            for name, state in self._saved.items():
                self._tables[name].load_state_dict(state)
            self._tables["timings"].keep_until(run.step)

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Add a row to metrics.csv, and one to timings.csv of what depends on the clock."""
        timings = {name: value for name, value in metrics.items() if name.startswith(CLOCK)}
        others = {name: value for name, value in metrics.items() if name not in timings}
        for table, row in (("metrics", others), ("timings", timings)):
            if row:
                self._tables[table].append({"step": step, **row})
        self._flush()

    def episode(self, episode: Episode) -> None:
        """Add a row to episodes.csv."""
        row = (
            episode.step,
            episode.env,
            episode.return_raw,
            episode.return_learner,
            episode.length,
            episode.truncated_by_checkpoint,
        )
        self._tables["episodes"].append(dict(zip(EPISODES, row, strict=True)))

    def evaluation(self, evaluation: EvaluationResult) -> None:
        """Add a row for each episode to evaluations.csv."""
        for i, episode in enumerate(evaluation.episodes):
            row = (evaluation.step, i, episode.return_raw, episode.length, evaluation.final)
            self._tables["evaluations"].append(dict(zip(EVALUATIONS, row, strict=True)))
        self._flush()

    def state_dict(self) -> State:
        """Write everything and return each file's columns and length in bytes."""
        # The length of timings.csv depends on the clock, and a checkpoint's bytes must not.
        self._flush()
        return {name: table.state_dict() for name, table in self._tables.items() if name != "timings"}

    def load_state_dict(self, state: State) -> None:
        """Remember the files' lengths; `start` truncates them."""
        self._saved = state

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """Write everything."""
        self._flush()

    def _flush(self) -> None:
        for table in self._tables.values():
            table.flush()


def _cell(value: float | int | bool | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, (bool, int)) else repr(float(value))


def _replace(path: Path, lines: Sequence[str]) -> None:
    """Write `lines` to `path` in one step, so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(path)
