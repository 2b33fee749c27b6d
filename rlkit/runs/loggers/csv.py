"""The run folder's CSV files: the source of every curve, table and dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkit.core.callback import CLOCK, Callback, RunInfo
from rlkit.core.files import not_written, write_whole
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

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def append(self, row: Mapping[str, float | int | bool]) -> None:
        """Add a row; floats are written so that they read back exactly."""
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        self._lines.append(",".join(_cell(row.get(name)) for name in self._columns))

    def flush(self) -> None:
        """Write what was added.

        Raises:
            RunError: the disk is full, or the folder not writable.
        """
        header = [] if self.path.exists() else [",".join(self._columns)]
        if not header and not self._lines:
            return
        try:
            with self.path.open("a") as file:
                file.write("\n".join([*header, *self._lines]) + "\n")
        except OSError as error:
            raise RunError(not_written(self.path, error)) from error
        finally:
            self._lines = []

    def state_dict(self) -> State:
        """Write what was added and return the columns and the length of the file in bytes."""
        self.flush()
        return {"columns": list(self._columns), "bytes": self.path.stat().st_size}

    def load_state_dict(self, state: State) -> None:
        """Truncate the file to what it held at `state_dict`.

        Raises:
            RunError: the file holds less, or other lines: another program has saved it.
        """
        self._columns, self._lines = list(state["columns"]), []
        width = len(self._columns)
        lines = self._read()
        if lines and lines[0] != ",".join(self._columns):
            _replace(self.path, [",".join(line.split(",")[:width]) for line in lines])
        if not self.path.exists() or self.path.stat().st_size < state["bytes"]:
            raise RunError(
                f"{self.path} is shorter than its checkpoint says ({state['bytes']} bytes); {self._remedy()}"
            )
        with self.path.open("rb+") as file:
            file.seek(state["bytes"] - 1)
            if file.read(1) != b"\n":
                raise RunError(f"{self.path} has other lines than its checkpoint says; {self._remedy()}")
            file.truncate()

    def _remedy(self) -> str:
        return "put it back as the run wrote it, or resume with logger=[terminal]"

    def _read(self) -> list[str]:
        """Return the lines, whose ends another program may have changed: then they are written as they were.

        Raises:
            RunError: they are no text.
        """
        if not self.path.exists():
            return []
        try:
            content = self.path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise RunError(f"{self.path} is damaged at byte {error.start}; {self._remedy()}") from error
        if "\r" in content:
            _replace(self.path, content.splitlines())
        return content.splitlines()

    def keep_until(self, step: int) -> int:
        """Read the file's own columns, drop rows after `step`, and return the step of the last that is left, or 0.

        Rows of evaluations outside of the schedule are dropped too, and what a kill left incomplete.

        Raises:
            RunError: it is no such table.
        """
        if not self.path.exists():
            return 0
        header, *rows = self._read() or [""]
        if header and not header.startswith("step"):
            raise RunError(f"{self.path} is damaged: its first column is not step; {self._remedy()}")
        self._columns = header.split(",") if header else self._columns
        kept = [(at, row) for row in rows if (at := self._step(row)) is not None and at <= step]
        _replace(self.path, [",".join(self._columns), *(row for _, row in kept)])
        return max((at for at, _ in kept), default=0)

    def _step(self, row: str) -> int | None:
        cells = row.split(",")
        named = dict(zip(self._columns, cells, strict=False))
        whole = len(cells) == len(self._columns) and cells[0].isascii() and cells[0].isdigit()
        return int(cells[0]) if whole and named.get("final") != "1" else None

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
        if self._saved is not None:
            for name, state in self._saved.items():
                self._tables[name].load_state_dict(state)
            self._keep_timings(run)
        elif run.step and any(table.path.exists() for table in self._tables.values()):
            self._keep_until_gap(run)
        else:
            # An earlier start of this run was killed before its first checkpoint: these rows will be written again.
            for table in self._tables.values():
                table.path.unlink(missing_ok=True)

    def _keep_timings(self, run: RunInfo) -> None:
        """Keep the rows of timings.csv where that is possible: nothing depends on them."""
        if (timings := self._tables.get("timings")) is None:
            return
        try:
            timings.keep_until(run.step)
        except (OSError, ValueError, RunError):
            run.say(f"{timings.path} cannot be read: it begins again")
            _replace(timings.path, [",".join(timings.columns)])

    def _keep_until_gap(self, run: RunInfo) -> None:
        """Keep the rows of before this logger was left out of ``logger=``."""
        last = max(table.keep_until(run.step) for name, table in self._tables.items() if name != "timings")
        self._keep_timings(run)
        run.say(
            f"the CSV files have no rows from step {last:,} to {run.step:,}: the run went on there without logger=csv"
        )

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
        self._tables["episodes"].append({**dict(zip(EPISODES, row, strict=True)), **episode.info})

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
    """Write `lines` to `path` in one step."""
    write_whole(path, "\n".join(lines) + "\n")
