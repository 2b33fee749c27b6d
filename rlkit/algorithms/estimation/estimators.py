"""Estimators of a policy's worth from episodes of another, and their intervals by resampling episodes.

The worth is the mean discounted return of its episodes. Each estimator returns one number for each row of `counts`
[R, E], which says how often each episode counts: ones are the data themselves, a bootstrap draws others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlkit.algorithms.estimation.logged import LoggedEpisodes
from rlkit.core.types import Array

TINY = 1e-300
"""Added to sums of weights, which are 0 where the policy would have done nothing of what was done."""


class Estimate(NamedTuple):
    """A number and its 95% interval."""

    mean: float
    low: float
    high: float


Estimator = Callable[[LoggedEpisodes, Array], Array]


def weighted_importance_sampling(data: LoggedEpisodes, counts: Array) -> Array:
    """Return the mean return [R], episodes weighted by how likely the policy makes them (Precup et al., 2000)."""
    weight = data.weight[:, -1]
    return np.asarray(counts @ (weight * data.reward.sum(1)) / (counts @ weight + TINY))


def per_decision_importance_sampling(data: LoggedEpisodes, counts: Array) -> Array:
    """Return the sum over steps of mean rewards [R], weighted by how likely the policy gets there (likewise)."""
    return np.asarray((counts @ (data.weight * data.reward) / (counts @ data.weight + TINY)).sum(1))


def doubly_robust(data: LoggedEpisodes, counts: Array) -> Array:
    """Return values of first states, corrected by weighted errors of the values (Thomas & Brunskill, 2016): [R].

    ``sum_t [w_t (r_t - q_t) + w_{t-1} v_t]``, each weight a share of the sum over episodes.
    """
    before = np.concatenate([np.ones((len(data.weight), 1)), data.weight], axis=1)
    corrections = counts @ (data.weight * (data.reward - data.q)) / (counts @ data.weight + TINY)
    values = counts @ (before * data.v) / (counts @ before + TINY)
    return np.asarray(corrections.sum(1) + values.sum(1))


ESTIMATORS: dict[str, Estimator] = {
    "weighted_importance_sampling": weighted_importance_sampling,
    "per_decision_importance_sampling": per_decision_importance_sampling,
    "doubly_robust": doubly_robust,
}


def estimated(estimator: Estimator, data: LoggedEpisodes, resamples: int, rng: np.random.Generator) -> Estimate:
    """Return an estimate and its interval by `resamples` bootstraps of whole episodes (Efron, 1987).

    The interval is the estimate and 1.96 standard errors, or the resamples' own quantiles where those lie wider.
    """
    episodes = len(data.weight)
    mean = float(estimator(data, np.ones((1, episodes)))[0])
    counts = rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=resamples).astype(np.float64)
    return with_interval(mean, estimator(data, counts))


def with_interval(mean: float, resampled: Array) -> Estimate:
    """Return an estimate with the interval of its resampled values [R], as in `estimated`."""
    half = 1.96 * float(resampled.std(ddof=1))
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(mean, min(mean - half, float(low)), max(mean + half, float(high)))


def effective_episodes(data: LoggedEpisodes) -> float:
    """Return how many equally weighted episodes the weighted ones count for (Kong, 1992)."""
    weight = data.weight[:, -1]
    return float(weight.sum() ** 2 / (np.square(weight).sum() + TINY))
