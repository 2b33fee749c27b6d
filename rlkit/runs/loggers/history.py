"""Rows of a run as services get them: one for each step, from the run's CSV files where they were missed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a record of JSON raises where it is not there, or is not what was written."""

FINAL = "evaluation/final"
"""The metric that marks the evaluation at the end of a run."""


def missing_rows(directory: Path, *, after: int, until: int) -> list[dict[str, Any]]:
    """Return the rows with ``after < step <= until`` of the run's CSV files, one for each step.

    Lines that are no numbers are left out, and so is what comes after a part of a file that is no text.
    """
    rows: dict[int, dict[str, float]] = {}
    for name in ("metrics", "timings"):
        for step, line in _read(directory / f"{name}.csv", after, until):
            rows.setdefault(step, {}).update(line)
    played: dict[int, list[tuple[float, float]]] = {}
    for step, line in _read(directory / "evaluations.csv", after, until):
        if line.get("final") != 1 and {"return/raw", "length"} <= line.keys():  # it will be made again, or be none
            played.setdefault(step, []).append((line["return/raw"], line["length"]))
    for step, episodes in played.items():
        rows.setdefault(step, {}).update(evaluation_metrics(*zip(*episodes, strict=True)))
    return [{"step": step, "metrics": rows[step], "videos": {}, "plots": {}} for step in sorted(rows)]


def _read(path: Path, after: int, until: int) -> Iterator[tuple[int, dict[str, float]]]:
    if not path.is_file() or after >= until:
        return
    with path.open(newline="") as file, suppress(UnicodeDecodeError, csv.Error):
        for line in csv.DictReader(file):
            # A line that a kill cut short lacks values, and belongs to a step that is made again.
            if None in line.values() or None in line:
                continue
            with suppress(*UNREADABLE):
                step = int(line.pop("step"))
                if after < step <= until:
                    yield step, {key: float(value) for key, value in line.items() if value}


def evaluation_metrics(returns: Sequence[float], lengths: Sequence[float], *, final: bool = False) -> dict[str, float]:
    """Return the metrics of an evaluation from each episode's raw return and length.

    `final`: it is the one at the end of a run, outside of the schedule, and marked by `FINAL`.
    """
    metrics = {FINAL: 1.0} if final else {}
    for name, values in (("return", returns), ("length", lengths)):
        metrics[f"evaluation/{name}_mean"] = sum(values) / len(values)
        metrics[f"evaluation/{name}_min"] = min(values)
        metrics[f"evaluation/{name}_max"] = max(values)
    return metrics
