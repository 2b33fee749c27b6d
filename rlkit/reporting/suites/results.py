"""The kept rows of a suite, its learning curves, and what it consisted of."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.files import writing
from rlkit.core.types import Array, UsageError
from rlkit.reporting.curves import Line, finite
from rlkit.runs.suites.folder import SUITE, Row, read_suite
from rlkit.runs.suites.scoring import COLUMNS

ROWS, CURVES = "rows.csv", "curves.csv"
CURVE_COLUMNS = ("agent", "environment", "seed", "step", "mean")
TEXTS = ("agent", "environment", "checkpoint")
WHOLE = ("seed", "steps", "episodes", "step")


class SuiteResults(NamedTuple):
    """What a suite's results say."""

    about: Mapping[str, Any]  # suite.yaml
    rows: Sequence[Row]  # one for each run and checkpoint
    points: Sequence[Row]  # one for each evaluation of a run

    @property
    def checkpoint(self) -> str:
        """The checkpoint that headlines are of."""
        return str(self.about["checkpoint"])

    @property
    def agents(self) -> list[str]:
        """The agents that have rows, in the suite's order."""
        return _in_order(self.about["agents"], (row["agent"] for row in self.rows))

    @property
    def environments(self) -> list[str]:
        """The environments that have rows, in the suite's order."""
        return _in_order(self.about["envs"], (row["environment"] for row in self.rows))

    def of(self, agent: str, environment: str, checkpoint: str | None = None) -> list[Row]:
        """Return the rows of an agent in an environment, by seed; `checkpoint` None: those of the headlines."""
        wanted = (agent, environment, checkpoint or self.checkpoint)
        found = [row for row in self.rows if (row["agent"], row["environment"], row["checkpoint"]) == wanted]
        return sorted(found, key=lambda row: int(row["seed"]))

    def scores(self, agent: str, environment: str, checkpoint: str | None = None) -> Array:
        """Return the mean returns of the seeds of an agent in an environment, [seeds]; those that are finite."""
        found = np.array([row["mean"] for row in self.of(agent, environment, checkpoint)], float)
        return np.asarray(found[np.isfinite(found)])

    def normalized(self, agent: str, checkpoint: str | None = None) -> dict[str, Array]:
        """Return the scores [seeds] in each environment that says which of them count as 0 and as 1."""
        found = {}
        for name in self.environments:
            ends = self.about["envs"][name].get("range")
            if ends is not None and len(scores := self.scores(agent, name, checkpoint)):
                found[name] = (scores - ends[0]) / (ends[1] - ends[0])
        return found

    def curves(self, agent: str, environment: str) -> list[Line]:
        """Return the evaluations of each seed of an agent in an environment."""
        points = [row for row in self.points if (row["agent"], row["environment"]) == (agent, environment)]
        seeds = sorted({row["seed"] for row in points})
        by_seed = ([row for row in points if row["seed"] == seed] for seed in seeds)
        return [
            finite(np.array([row["step"] for row in one], float), np.array([row["mean"] for row in one], float))
            for one in by_seed
        ]


def _in_order(known: Iterable[str], there: Iterable[str]) -> list[str]:
    found = set(there)
    return [name for name in known if name in found]


def read_results(directory: Path) -> SuiteResults:
    """Return the results that are kept in a folder.

    Raises:
        UsageError: there are none, or they are damaged.
    """
    about = read_suite(directory / SUITE)
    return SuiteResults(about, _read(directory / ROWS, COLUMNS), _read(directory / CURVES, CURVE_COLUMNS))


def _read(path: Path, columns: Sequence[str]) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if list(reader.fieldnames or ()) != list(columns):
                raise ValueError(f"its columns are not {', '.join(columns)}")
            return [{key: _value(key, row[key]) for key in columns} for row in reader]
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is no table of a suite: {' '.join(str(error).split())}") from error


def _value(key: str, text: str) -> Any:
    if key in TEXTS:
        return text
    return None if text == "" else int(text) if key in WHOLE else float(text)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table, with nothing in the cells whose value is None."""
    with writing(path, "out") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if row[key] is None else row[key] for key in columns} for row in rows)
