"""Learning curves of groups: the mean over seeds at steps that all of them have, and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.reporting.columns import column, last_step
from rlkit.reporting.groups import Group
from rlkit.reporting.intervals import mean_intervals
from rlkit.runs.plots.curve import moving_average, window
from rlkit.runs.run import Run

SHARE = 20
"""A moving average is over `curve.window` episodes, or over this part of all where that is more."""

POINTS = 120
"""Points of a curve of training returns."""


class Line(NamedTuple):
    """Values at steps."""

    steps: Array  # [n]
    values: Array  # [n]


class Curve(NamedTuple):
    """A group's curve."""

    label: str
    number: int  # of the group
    mean: Line  # over seeds, where every seed has a value
    interval: tuple[Array, Array] | None  # of the mean, [n] each; None with one seed
    seeds: list[Line]


def evaluation_curve(group: Group) -> Curve:
    """Return the curve of the evaluations' mean raw returns."""
    lines = [finite(*_columns(run.evaluation_means())) for run in group.runs]
    return mean_curve(group, [line for line in lines if len(line.steps)])


def training_curve(group: Group) -> Curve:
    """Return the curve of raw returns while training, each seed's a moving average over episodes.

    It is that of the episodes finished so far, so it goes on to the run's last step.
    """
    smooth = [(line, last_step(run)) for run in group.runs if (line := _smoothed(run)) is not None]
    first = max((line.steps[0] for line, _ in smooth), default=0)
    grid = _grid(first, min((last for _, last in smooth), default=0))
    curve = mean_curve(group, [_at(line, grid) for line, _ in smooth])
    return curve._replace(seeds=[_at(line, _grid(line.steps[0], last)) for line, last in smooth])


def mean_curve(group: Group, seeds: Sequence[Line]) -> Curve:
    """Return the curve of a group's mean over seeds, with its interval where there are several."""
    if not seeds:
        return Curve(group.label, group.number, Line(np.zeros(0), np.zeros(0)), None, [])
    # Beyond the end of the shortest run a mean would be over others than before.
    steps = seeds[0].steps
    for line in seeds[1:]:
        steps = np.intersect1d(steps, line.steps)
    table = np.array([line.values[np.isin(line.steps, steps)] for line in seeds])
    several = len(seeds) > 1 and len(steps)
    interval = mean_intervals(table, np.random.default_rng(0)) if several else None
    return Curve(group.label, group.number, Line(steps, table.mean(axis=0)), interval, list(seeds))


def _smoothed(run: Run) -> Line | None:
    whole = column(run, "episodes", "truncated_by_checkpoint") == 0
    steps, returns = finite(*(column(run, "episodes", name)[whole] for name in ("step", "return/raw")))
    taken = max(window(len(returns)), len(returns) // SHARE)
    return Line(steps, moving_average(returns, taken)) if len(returns) else None


def finite(steps: Array, values: Array) -> Line:
    """Return the steps [n] that have a finite value [n]: a mean with one that is not finite is not finite."""
    there = np.isfinite(values)
    return Line(steps[there], values[there])


def _grid(first: float, last: float) -> Array:
    return np.unique(np.linspace(first, last, POINTS).round()) if first <= last else np.zeros(0)


def _at(line: Line, steps: Array) -> Line:
    """Return the newest value at each of `steps`."""
    return Line(steps, line.values[np.searchsorted(line.steps, steps, side="right") - 1])


def _columns(rows: Sequence[tuple[int, float]]) -> tuple[Array, Array]:
    return np.array([step for step, _ in rows], float), np.array([value for _, value in rows], float)
