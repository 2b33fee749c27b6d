"""Interquartile means and bootstrap intervals of scores.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021): a few runs say
little by their mean alone, so aggregates come with an interval from resampling the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array

RESAMPLES = 2000
LEVEL = 0.95

Statistic = Callable[..., Any]
"""A function of values along an axis, called as ``statistic(values, axis=…)``, such as `numpy.mean`."""


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


def interquartile_mean(values: Array, axis: int | None = None) -> Any:
    """Return the mean of `values` [...] along an axis without the lowest and the highest quarter, rounded down each."""
    from scipy.stats import trim_mean  # takes longer to import than a report without it

    return trim_mean(values, 0.25, axis=axis)


def resampled(strata: Sequence[Array], rng: np.random.Generator) -> Array:
    """Draw strata (seeds) with replacement, and within each its values (episodes); return all of them, [n].

    Episodes of one seed share its agent. Drawing them alone would leave out how much seeds differ.
    """
    chosen = rng.integers(len(strata), size=len(strata)) if len(strata) > 1 else [0]
    return np.concatenate([strata[i][rng.integers(len(strata[i]), size=len(strata[i]))] for i in chosen])


def bootstrap_intervals(
    strata: Sequence[Array],
    statistics: Sequence[Statistic],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Return the percentile interval of each statistic; all are of the same resamples.

    Args:
        strata: the values of each seed, [n] each.
        statistics: of all values, [n].
        rng: draws the resamples.
        resamples: how many.
        level: share of the resamples that lie within.
    """
    drawn = [resampled(strata, rng) for _ in range(resamples)]
    return [percentile_interval(_of_each(of, drawn), level) for of in statistics]


def stratified_intervals(
    tasks: Sequence[Array],
    statistics: Sequence[Statistic],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Return the percentile interval of each statistic of the scores of several tasks, whose runs are drawn anew.

    Every task stays as many times as it is there: tasks are no sample. Source: Agarwal et al. (2021), section 4.1.

    Args:
        tasks: the scores of each task's runs, [n] each.
        statistics: of all scores, [n].
        rng: draws the resamples.
        resamples: how many.
        level: share of the resamples that lie within.
    """
    drawn = redrawn(tasks, rng, resamples)
    return [percentile_interval(np.asarray(of(drawn, axis=1)), level) for of in statistics]


def redrawn(tasks: Sequence[Array], rng: np.random.Generator, resamples: int = RESAMPLES) -> Array:
    """Return resamples of the scores of tasks, [n] each, within each task: [resamples, all scores]."""
    return np.concatenate([task[rng.integers(len(task), size=(resamples, len(task)))] for task in tasks], axis=1)


def _of_each(statistic: Statistic, drawn: Sequence[Array]) -> Array:
    """Return a statistic of each of the resamples, at once where they are of one length."""
    if len({len(values) for values in drawn}) == 1:
        return np.asarray(statistic(np.stack(drawn), axis=1))
    return np.array([statistic(values, axis=0) for values in drawn])


def mean_intervals(
    curves: Array, rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[Array, Array]:
    """Return the ends of the percentile interval of the mean over seeds at each point of their curves.

    Args:
        curves: [seeds, points].
        rng: draws the resamples of the seeds, the same ones for every point.
        resamples: how many.
        level: share of the resamples that lie within.
    """
    seeds = len(curves)
    # How often each seed was drawn, [resamples, seeds]: no array of resamples x seeds x points is made.
    counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    means = counts @ curves / seeds
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def percentile_interval(values: Array, level: float = LEVEL) -> Interval:
    """Return the interval that a share `level` of the values [n] lies in, as much of the others below as above."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
