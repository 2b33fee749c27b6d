"""The tables of a search: its trials, and settings that were trained again."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.config.literals import literal
from rlkit.core.files import writing
from rlkit.runs.searching.confirmation import Confirmed, seeds
from rlkit.runs.searching.journal import FAILED, PARENT, VALUES
from rlkit.runs.searching.search import SearchFolder
from rlkit.runs.searching.training import outcome

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
TRIALS, CONFIRMED = "trials.csv", "confirmed.csv"
COLUMNS = ("trial", "state", "value", "step", "continues", "failed")
"""Columns of every table of trials, before those of the settings."""


def row(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial as plain data."""
    return {
        "trial": trial.number,
        "state": STATES.get(trial.state.name, "running"),
        "value": trial.value if trial.state.is_finished() else None,
        "step": trial.last_step,
        "continues": trial.user_attrs.get(PARENT),
        "failed": trial.user_attrs.get(FAILED),
        "settings": dict(trial.user_attrs.get(VALUES, {})),
    }


def write_trials(search: SearchFolder) -> list[dict[str, Any]]:
    """Write the table of trials, and return its rows."""
    rows, keys = [row(trial) for trial in search.journal.trials()], list(search.header.ranges)
    lines = [[*(one[key] for key in COLUMNS), *(_cell(one["settings"].get(key)) for key in keys)] for one in rows]
    _write(search.directory / TRIALS, [*COLUMNS, *keys], lines)
    return rows


def write_confirmed(search: SearchFolder, again: Sequence[Confirmed]) -> None:
    """Write the table of settings that were trained again, where there are some."""
    keys = list(search.header.ranges)
    lines = [
        [one.candidate.name, seed, end and end.value, *(_cell(one.candidate.values[key]) for key in keys)]
        for one in again
        for seed in seeds(search)
        for end in [outcome(search, one.candidate.run(seed))]
    ]
    if lines:
        _write(search.directory / CONFIRMED, ["settings", "seed", "value", *keys], lines)


def read_trials(directory: Path) -> list[Mapping[str, str]]:
    """Return the rows of a search's table of trials; none where it has none, or one that cannot be read."""
    try:
        with (directory / TRIALS).open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if {*COLUMNS} <= row.keys() and None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _cell(value: Any) -> Any:
    return literal(value) if isinstance(value, list | bool) or value is None else value


def _write(path: Path, head: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    with writing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(lines)
