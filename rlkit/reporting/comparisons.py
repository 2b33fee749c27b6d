"""Comparison of two agents' scores, and the distribution of an agent's, over several tasks.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlkit.core.types import Array
from rlkit.reporting.intervals import RESAMPLES, percentile_interval, redrawn
from rlkit.reporting.scores import Aggregate

Pair = tuple[Array, Array]
"""The scores of an agent's runs in a task, [n], and of a baseline's, [m]."""


def wins(scores: Array, others: Array) -> Array:
    """Return for each pair of runs, [n] and [m], 1 where the first has the higher score, and 1/2 for equals: [n, m]."""
    ahead = scores[:, None] - others[None, :]
    return np.asarray((ahead > 0) + 0.5 * (ahead == 0))


def improvement(tasks: Sequence[Pair], rng: np.random.Generator) -> Aggregate:
    """Return the probability that a run of an agent scores higher than one of the baseline, a mean over tasks.

    The interval is of resamples of the runs of both within each task; with one run of each there is none.
    """
    tables = [wins(*pair) for pair in tasks]
    value = float(np.mean([table.mean() for table in tables]))
    if all(table.size == 1 for table in tables):
        return Aggregate(value, None)
    drawn = np.mean([_redrawn_means(table, rng) for table in tables], axis=0)
    return Aggregate(value, percentile_interval(drawn))


def _redrawn_means(table: Array, rng: np.random.Generator) -> Array:
    """Return the mean of a table [n, m] whose rows and columns are drawn with replacement: [resamples]."""
    n, m = table.shape
    rows, columns = rng.integers(n, size=(RESAMPLES, n, 1)), rng.integers(m, size=(RESAMPLES, 1, m))
    return np.asarray(table[rows, columns].mean(axis=(1, 2)))


def performance_profile(
    tasks: Sequence[Array], thresholds: Array, rng: np.random.Generator
) -> tuple[Array, tuple[Array, Array] | None]:
    """Return the share of runs that score at least each threshold, and the ends of its 95% interval.

    Args:
        tasks: normalized scores of the runs in each task, [n] each.
        thresholds: [t], in ascending order.
        rng: draws the resamples of the runs, within each task.

    Returns:
        the shares [t], and the ends [t] each; None where no task has several runs.
    """
    share = _shares(np.concatenate(tasks)[None], thresholds)[0]
    if all(len(task) == 1 for task in tasks):
        return share, None
    low, high = np.quantile(_shares(redrawn(tasks, rng), thresholds), [0.025, 0.975], axis=0)
    return share, (low, high)


def _shares(scores: Array, thresholds: Array) -> Array:
    """Return the share of each row of scores [r, n] that is at least each threshold [t]: [r, t]."""
    ordered = np.sort(scores, axis=1)
    below = np.array([np.searchsorted(row, thresholds, side="left") for row in ordered])
    return np.asarray(1 - below / scores.shape[1])
