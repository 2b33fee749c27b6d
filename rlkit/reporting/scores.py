"""What a group's evaluations and clocks say, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.reporting.columns import column, last_step
from rlkit.reporting.groups import Group
from rlkit.reporting.intervals import Interval, Statistic, bootstrap_intervals, interquartile_mean
from rlkit.runs.run import Run


class RunScore(NamedTuple):
    """One run: (step, mean return) of its best and its last evaluation."""

    best: tuple[int, float] | None
    last: tuple[int, float] | None
    steps: int
    steps_per_second: float | None


class Aggregate(NamedTuple):
    """A statistic over the seeds' scores, with its interval; None with one seed."""

    value: float
    interval: Interval | None


class GroupScore(NamedTuple):
    """What the last evaluations of a group's seeds say; None where there was none."""

    episodes: int  # of the last evaluations
    scored: int  # seeds whose last evaluation has a finite mean: those that the aggregates are of
    mean: Aggregate | None
    iqm: Aggregate | None
    best: float | None  # the mean over seeds of each seed's best evaluation
    runs: list[RunScore]


def group_score(group: Group) -> GroupScore:
    """Return the scores of a group; the same runs have the same intervals.

    A seed's score is the mean return of its last evaluation, and aggregates are over these scores, so that each seed
    counts alike however many episodes it played. Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of
    the Statistical Precipice" (2021), sections 3 and 4.
    """
    runs = [run_score(run) for run in group.runs]
    scores = np.array([run.last[1] for run in runs if run.last is not None and isfinite(run.last[1])])
    bests = [run.best[1] for run in runs if run.best is not None]
    mean, iqm = _aggregates(scores)
    episodes = sum(len(_last_returns(run)) for run in group.runs)
    return GroupScore(episodes, len(scores), mean, iqm, float(np.mean(bests)) if bests else None, runs)


def _aggregates(scores: Array) -> tuple[Aggregate | None, Aggregate | None]:
    """Return mean and interquartile mean of the seeds' scores [n], with their bootstrap intervals over seeds."""
    if not len(scores):
        return None, None
    statistics: tuple[Statistic, Statistic] = (np.mean, interquartile_mean)
    intervals: Sequence[Interval | None] = (None, None)
    if len(scores) > 1:
        intervals = bootstrap_intervals(list(scores[:, None]), statistics, np.random.default_rng(0))
    mean, iqm = (Aggregate(float(of(scores)), end) for of, end in zip(statistics, intervals, strict=True))
    return mean, iqm


def run_score(run: Run) -> RunScore:
    """Return the scores of one run."""
    means = run.evaluation_means()
    # The newest of equal ones is what the run keeps as its best, and never one that is not finite.
    best = max((row for row in means if isfinite(row[1])), key=lambda row: (row[1], row[0]), default=None)
    speeds = column(run, "timings", "time/steps_per_second")
    return RunScore(best, means[-1] if means else None, last_step(run), float(speeds[-1]) if len(speeds) else None)


def as_json(group: Group, score: GroupScore) -> dict[str, Any]:
    """Return what ``output=json`` says of a group."""
    return {
        "label": group.label,
        "runs": [str(run.directory) for run in group.runs],
        "seeds": group.seeds,
        "copies": [str(copy.directory) for copy, _ in group.copies],
        "episodes": score.episodes,
        "mean": _plain(score.mean),
        "iqm": _plain(score.iqm),
        "best": score.best,
    }


def _plain(aggregate: Aggregate | None) -> dict[str, float | None] | None:
    if aggregate is None:
        return None
    low, high = aggregate.interval or (None, None)
    return {"value": aggregate.value, "low": low, "high": high}


def _last_returns(run: Run) -> Array:
    steps, returns = column(run, "evaluations", "step"), column(run, "evaluations", "return/raw")
    return returns[steps == steps[-1]] if len(steps) else returns
