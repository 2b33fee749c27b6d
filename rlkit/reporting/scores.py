"""What a group's evaluations and clocks say, as figures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.core import Array
from rlkit.intervals import Interval, bootstrap_intervals, interquartile_mean
from rlkit.reporting.columns import column, last_step
from rlkit.reporting.groups import Group
from rlkit.run import Run


class RunScore(NamedTuple):
    """One run: (step, mean return) of its best and its last evaluation."""

    best: tuple[int, float] | None
    last: tuple[int, float] | None
    steps: int
    steps_per_second: float | None


class Aggregate(NamedTuple):
    """A figure over all episodes, with its interval."""

    value: float
    interval: Interval


class GroupScore(NamedTuple):
    """The last evaluation of every seed, its episodes together; None where there was none."""

    episodes: int
    mean: Aggregate | None
    iqm: Aggregate | None
    best: float | None  # the mean over seeds of each seed's best evaluation
    runs: list[RunScore]


def group_score(group: Group) -> GroupScore:
    """Return the figures of a group; the same runs give the same intervals."""
    runs = [run_score(run) for run in group.runs]
    strata = [returns for run in group.runs if len(returns := _last_returns(run))]
    if not strata:
        return GroupScore(0, None, None, None, runs)
    everything = np.concatenate(strata)
    mean, iqm = bootstrap_intervals(strata, [np.mean, interquartile_mean], np.random.default_rng(0))
    return GroupScore(
        len(everything),
        Aggregate(float(everything.mean()), mean),
        Aggregate(interquartile_mean(everything), iqm),
        float(np.mean([run.best[1] for run in runs if run.best is not None])),
        runs,
    )


def run_score(run: Run) -> RunScore:
    """Return the figures of one run."""
    means = run.evaluation_means()
    # The newest of equal ones is what the run keeps as its best.
    best = max(means, key=lambda row: (row[1], row[0]), default=None)
    speeds = column(run, "timings", "time/steps_per_second")
    return RunScore(best, means[-1] if means else None, last_step(run), float(speeds[-1]) if len(speeds) else None)


def as_json(group: Group, score: GroupScore) -> dict[str, Any]:
    """Return what ``output=json`` says of a group."""
    return {
        "label": group.label,
        "runs": [str(run.directory) for run in group.runs],
        "seeds": group.seeds,
        "episodes": score.episodes,
        "mean": _plain(score.mean),
        "iqm": _plain(score.iqm),
        "best": score.best,
    }


def _plain(aggregate: Aggregate | None) -> dict[str, float] | None:
    return None if aggregate is None else {"value": aggregate.value, **aggregate.interval._asdict()}


def _last_returns(run: Run) -> Array:
    steps, returns = column(run, "evaluations", "step"), column(run, "evaluations", "return/raw")
    return returns[steps == steps[-1]] if len(steps) else returns
