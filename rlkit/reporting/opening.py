"""Opening the run folders of a report: those that are damaged are left out, each with a line."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rlkit.core.ranges import LARGEST
from rlkit.core.types import Array, UsageError
from rlkit.fitting.run import FitRun, opened
from rlkit.reporting.columns import TABLES, AnyRun, columns
from rlkit.reporting.groups import environment_name, settings

NEEDED: Mapping[str, tuple[str, ...]] = {
    "metrics": ("step",),
    "episodes": ("step", "return/raw", "truncated_by_checkpoint"),
    "evaluations": ("step", "return/raw"),
}
"""Columns without which a table says nothing."""

DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError)
"""What values raise that are of another kind than those that rlkit writes."""


def open_runs(directories: Sequence[Path | str], say: Callable[[str], None] = lambda line: None) -> list[AnyRun]:
    """Open run folders, each once; `say` is called with a line for each that is damaged and left out.

    Raises:
        UsageError: there is none, one is not there or not a run, or all are damaged.
    """
    named = [directory for directory in map(Path, directories) if not _is_no_run_yet(directory)]
    if not named:
        raise UsageError("a report needs run folders: rlkit report runs/<name> runs/<other>")
    unique = {directory.resolve(): directory for directory in named}
    for directory in unique.values():
        within = len(list(directory.glob("*/config.yaml")))
        if within and not (directory / "config.yaml").is_file():
            raise UsageError(
                f"{directory} is not a run, but holds {within} runs: rlkit report {shlex.quote(str(directory))}/*"
            )
    return _those_that_can_be_read([*unique.values()], say)


def _is_no_run_yet(directory: Path) -> bool:
    """Return whether ``runs/*`` finds this, and it is no run: that of sweeps or searches, or of a job yet to begin."""
    begun = (directory / "config.yaml").exists()
    return not begun and (directory.name in ("sweeps", "searches") or (directory / "sweep.json").exists())


def _those_that_can_be_read(directories: Sequence[Path], say: Callable[[str], None]) -> list[AnyRun]:
    runs: list[AnyRun] = []
    problems: list[UsageError] = []
    for directory in directories:
        try:
            runs.append(readable_run(directory))
        except UsageError as error:
            if not (directory / "config.yaml").exists():
                raise
            problems.append(error)
    if not runs and problems:
        raise problems[0]
    for problem in problems:
        say(f"left out: {problem}")
    return runs


def readable_run(directory: Path) -> AnyRun:
    """Open a run and read all that a report needs of it.

    Raises:
        UsageError: something is damaged; the message has the file, and where it is in it.
    """
    run = opened(directory)
    require_readable(run)
    return run


def require_readable(run: AnyRun) -> None:
    """Read all that a report needs of a run.

    Raises:
        UsageError: something is damaged; the message has the file, and where it is in it.
    """
    _require_choices(run)
    try:
        _read_all(run)
    except DAMAGED as error:
        where = f"{run.directory / 'config.yaml'} does not fit together"
        raise UsageError(f"{where}: {' '.join(str(error).split())}; is it of this version of rlkit?") from error


def _read_all(run: AnyRun) -> None:
    settings(run.values)
    environment_name(run.values)
    assert run.default_name
    require_tables(run)
    if isinstance(run, FitRun):
        assert isinstance(run.final_metrics, dict)


def require_tables(run: AnyRun) -> None:
    """Read the tables of a run.

    Raises:
        UsageError: one is damaged.
    """
    for table in TABLES:
        _check_table(run.directory / f"{table}.csv", columns(run, table), NEEDED.get(table, ()))


def _require_choices(run: AnyRun) -> None:
    pair = ("learner", "data") if isinstance(run, FitRun) else ("agent", "env")
    for key in pair:
        if key not in run.values["choices"]:
            raise UsageError(f"{run.directory / 'config.yaml'}: choices has no {key}; is it of this version of rlkit?")


def _check_table(path: Path, found: Mapping[str, Array], needed: tuple[str, ...]) -> None:
    for name in needed if found else ():
        if name not in found:
            raise UsageError(f"{path} has no column {name}; delete the file, or make the run again")
    steps = found.get("step", np.zeros(0))
    if not np.all((steps >= 0) & (steps < LARGEST)):
        raise UsageError(f"{path} has a step that is no step; fix the line, or delete it")
