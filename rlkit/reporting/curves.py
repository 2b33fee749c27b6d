"""Learning curves of groups: the mean over seeds at steps that all of them have, and its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.reporting.columns import column, last_step
from rlkit.reporting.groups import Group
from rlkit.reporting.intervals import mean_intervals
from rlkit.runs.plots.curve import means_until, window
from rlkit.runs.run import Run

SHARE = 20
"""A moving average is over `curve.window` episodes, or over this part of all where that is more."""

POINTS = 120
"""Points of a curve of training returns."""


RETURNS = ("step", "return/raw", "truncated_by_checkpoint")
"""Columns of the table of episodes that a curve of training returns is of."""

THINNED, PARTS = 400, 200
"""Points of a curve up to which each is drawn, and the parts of a longer one whose extremes are."""


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


class GroupCurves(NamedTuple):
    """The curves of a group whose agent was trained."""

    evaluations: Curve
    training: Curve


class Returns(NamedTuple):
    """The raw returns of a run's training episodes, as far as they are whole and finite."""

    steps: Array  # [n]
    sums: Array  # [n + 1], of all returns before each of them, and of all


def group_curves(group: Group) -> GroupCurves:
    """Return the curves of a group."""
    return GroupCurves(evaluation_curve(group), training_curve(group))


def evaluation_curve(group: Group) -> Curve:
    """Return the curve of the evaluations' mean raw returns."""
    lines = [finite(*_columns(run.evaluation_means())) for run in group.runs]
    return mean_curve(group, [line for line in lines if len(line.steps)])


def training_returns(run: Run) -> Returns:
    """Return the returns of a run's training episodes."""
    return more_returns(Returns(np.zeros(0), np.zeros(1)), *(column(run, "episodes", name) for name in RETURNS))


def more_returns(known: Returns, steps: Array, returns: Array, truncated: Array) -> Returns:
    """Return `known` with more episodes, [n] each: the columns `RETURNS` of the table of episodes."""
    steps, values = finite(steps[truncated == 0], returns[truncated == 0])
    sums = np.cumsum(np.concatenate((known.sums[-1:], values)))
    return Returns(np.concatenate((known.steps, steps)), np.concatenate((known.sums[:-1], sums)))


def training_curve(group: Group, returns: Callable[[Run], Returns] = training_returns) -> Curve:
    """Return the curve of raw returns while training, each seed's a moving average over episodes.

    It is that of the episodes finished so far, so it goes on to the run's last step.

    Args:
        group: of runs.
        returns: reads a run's.
    """
    read = [(returns(run), last_step(run)) for run in group.runs]
    smooth = [(found, last) for found, last in read if len(found.steps)]
    first = max((found.steps[0] for found, _ in smooth), default=0)
    grid = _grid(first, min((last for _, last in smooth), default=0))
    curve = mean_curve(group, [_averages(found, grid) for found, _ in smooth])
    return curve._replace(seeds=[_averages(found, _grid(found.steps[0], last)) for found, last in smooth])


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


def finite(steps: Array, values: Array) -> Line:
    """Return the steps [n] that have a finite value [n]: a mean with one that is not finite is not finite."""
    there = np.isfinite(values)
    return Line(steps[there], values[there])


def _grid(first: float, last: float) -> Array:
    return np.unique(np.linspace(first, last, POINTS).round()) if first <= last else np.zeros(0)


def _averages(returns: Returns, steps: Array) -> Line:
    """Return the moving average up to the newest episode at each of `steps`."""
    episodes = len(returns.steps)
    taken = max(window(episodes), episodes // SHARE)
    return Line(steps, means_until(returns.sums, np.searchsorted(returns.steps, steps, side="right"), taken))


def _columns(rows: Sequence[tuple[int, float]]) -> tuple[Array, Array]:
    return np.array([step for step, _ in rows], float), np.array([value for _, value in rows], float)


def thinned(curve: Curve) -> Curve:
    """Return a curve as it is drawn: of many points the first, the last, and the extremes of each of equal parts."""
    kept = _extremes(curve.mean.values)
    low_high = None if curve.interval is None else (curve.interval[0][kept], curve.interval[1][kept])
    return curve._replace(mean=_at(curve.mean, kept), interval=low_high, seeds=[*map(_thinned, curve.seeds)])


def _thinned(line: Line) -> Line:
    return _at(line, _extremes(line.values))


def _at(line: Line, places: Array) -> Line:
    return Line(line.steps[places], line.values[places])


def _extremes(values: Array) -> Array:
    """Return the indices of the values that are drawn, in order."""
    if len(values) <= THINNED:
        return np.arange(len(values))
    ends = np.linspace(0, len(values), PARTS + 1).astype(int)
    parts = [(start, values[start:end]) for start, end in pairwise(ends)]
    extremes = [start + pick(part) for start, part in parts for pick in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])
