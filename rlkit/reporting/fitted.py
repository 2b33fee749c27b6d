"""What a report says of fitted learners: the costs of their epochs, and their metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from rlkit.fitting.run import FitRun
from rlkit.fitting.session import HISTORIES
from rlkit.reporting import tables
from rlkit.reporting.chart import chart
from rlkit.reporting.columns import column
from rlkit.reporting.curves import Curve, Line, mean_curve
from rlkit.reporting.groups import Group

METHOD = """\
<p>Metrics of learners are those of the model on the rows that it was fitted to, on rows held out, and, with their
standard deviation over folds, of models fitted again in a cross-validation. With several seeds they are means over
seeds, and the deviation is that over seeds.</p>"""

PARTS = {"test": "held out", "folds": "folds", "train": "fitted to", "popularity": "what is popular"}


def panels(by_data: Mapping[str, Sequence[Group]]) -> Iterator[str]:
    """Yield the charts and the table of each data set."""
    yield "<h2>Learners</h2>"
    for i, (name, groups) in enumerate(by_data.items()):
        yield f"<section><h3>{escape(name)}</h3>{tables.legend(groups)}"
        curves = {history: [_history(group, history) for group in groups] for history in HISTORIES}
        charts = [
            chart(found, id=f"{history}-{i}", title=history.replace("_", " "), until=_last(found), axis="epochs")
            for history, found in curves.items()
            if any(len(curve.mean.steps) for curve in found)
        ]
        yield f'<div class="charts">{"".join(charts)}</div>' if charts else ""
        yield f"{_metrics(groups)}</section>"


def _history(group: Group, name: str) -> Curve:
    lines = []
    for run in group.runs:
        values = column(run, "metrics", name)
        there = np.isfinite(values)
        if there.any():
            lines.append(Line(column(run, "metrics", "step")[there], values[there]))
    return mean_curve(group, lines)


def _last(curves: Sequence[Curve]) -> int:
    return max(1, *(int(curve.mean.steps[-1]) for curve in curves if len(curve.mean.steps)))


def _metrics(groups: Sequence[Group]) -> str:
    found = [means(group) for group in groups]
    names = _ordered(dict.fromkeys(name for metrics in found for name in metrics))
    header = ("", *map(tables.key, groups))
    rows = [[_title(name), *(_cell(metrics.get(name)) for metrics in found)] for name in names]
    return tables.table(header, rows, label="metrics of learners")


def _ordered(names: Mapping[str, Any]) -> list[str]:
    return [name for part in PARTS for name in names if name.startswith(f"{part}/")]


def _title(name: str) -> str:
    part, _, metric = name.partition("/")
    return escape(f"{metric.replace('_', ' ')}, {PARTS[part]}")


def _cell(metric: tuple[float, float | None] | None) -> str:
    if metric is None:
        return tables.NONE
    value, deviation = metric
    more = "" if deviation is None else f' <span class="interval">± {tables.number(deviation)}</span>'
    return f"<span>{tables.number(value)}{more}</span>"


def means(group: Group) -> dict[str, tuple[float, float | None]]:
    """Return each metric's mean over seeds with its deviation; with one seed, that over folds where there is one."""
    runs = [_paired(run) for run in group.runs]
    found: dict[str, tuple[float, float | None]] = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        there = [run[name] for run in runs if name in run]
        values = np.array([value for value, _ in there])
        spread = float(values.std(ddof=1)) if len(values) > 1 else there[0][1]
        found[name] = (float(values.mean()), spread)
    return found


def _paired(run: FitRun) -> dict[str, tuple[float, float | None]]:
    """Return a run's metrics, those of folds with their deviation."""
    metrics = run.final_metrics
    found: dict[str, tuple[float, float | None]] = {}
    for name, value in metrics.items():
        if name.startswith("folds/"):
            base = name.removesuffix("_mean")
            if base != name:
                found[base] = (value, metrics.get(f"{base}_std"))
        else:
            found[name] = (value, None)
    return found


def runs(group: Group) -> str:
    """Return the table of a group's runs."""
    metrics = [_paired(run) for run in group.runs]
    names = _ordered(metrics[0])
    rows = [
        [
            f'<span title="{escape(str(run.directory))}">{tables.breakable(run.directory.name)}</span>',
            str(run.values["seed"]),
            *(_cell(one.get(name)) for name in names),
            tables.number(_seconds(run)),
        ]
        for run, one in zip(group.runs, metrics, strict=True)
    ]
    header = ("run", "seed", *map(_title, names), "seconds to fit")
    return tables.table(header, rows, label=f"runs of {group.label}", kind="numbers cards")


def _seconds(run: FitRun) -> float | None:
    found = column(run, "timings", "time/fit_seconds")
    return float(found[-1]) if len(found) else None


def as_json(group: Group) -> dict[str, Any]:
    """Return what ``output=json`` says of a group."""
    return {
        "label": group.label,
        "runs": [str(run.directory) for run in group.runs],
        "seeds": group.seeds,
        "copies": [str(copy.directory) for copy, _ in group.copies],
        "metrics": {name: value for name, (value, _) in means(group).items()},
    }
