"""Where new settings come from: samplers of Optuna's, by the names of ``conf/sampler/``.

A sampler is made anew for each trial, with a seed of that trial, so that what it draws follows from the trials before
alone: a search that is killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import FromRun, UsageError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

GRID = "rlkit.runs.searching.samplers.grid"


def random(seed: FromRun[int]) -> BaseSampler:
    """Draw from the ranges, whatever the trials before have shown (Bergstra and Bengio, 2012)."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def tpe(seed: FromRun[int], startup_trials: NonNegativeInt, candidates: PositiveInt, multivariate: bool) -> BaseSampler:
    """Draw where good trials are dense and others are not: a tree-structured Parzen estimator (Bergstra et al., 2011).

    Args:
        seed: of this trial's draw.
        startup_trials: the first trials are random.
        candidates: drawn at a time; the most promising one is taken.
        multivariate: settings are drawn together, else each for itself.
    """
    from optuna.samplers import TPESampler

    return TPESampler(
        seed=seed,
        n_startup_trials=startup_trials,
        n_ei_candidates=candidates,
        multivariate=multivariate,
        constant_liar=True,  # trials that run count as poor, so that several workers do not try the same
    )


def cmaes(seed: FromRun[int], startup_trials: NonNegativeInt) -> BaseSampler:
    """Draw from a normal distribution that moves to where trials are good: CMA-ES (Hansen, 2016), of numbers alone.

    Args:
        seed: of this trial's draw.
        startup_trials: the first trials are random.

    Raises:
        UsageError: the package cmaes is not installed.
    """
    from importlib.util import find_spec

    from optuna.samplers import CmaEsSampler

    if find_spec("cmaes") is None:
        raise UsageError("sampler=cmaes needs a package: pip install cmaes")
    return CmaEsSampler(
        seed=seed, n_startup_trials=startup_trials, consider_pruned_trials=True, warn_independent_sampling=False
    )


def gp(seed: FromRun[int], startup_trials: NonNegativeInt) -> BaseSampler:
    """Draw where a Gaussian process expects the greatest improvement: for few, long trials.

    Args:
        seed: of this trial's draw.
        startup_trials: the first trials are random.
    """
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, n_startup_trials=startup_trials)


def grid(search_seed: FromRun[int], dimensions: FromRun[Mapping[str, Any]], points: PositiveInt) -> BaseSampler:
    """Try every combination, in a random order.

    Args:
        search_seed: of the order, which is of the search, not of a trial.
        dimensions: `rlkit.config.search_space.Dimension` by name.
        points: values of a range of numbers, evenly from end to end, of logarithms where it is drawn so.
    """
    from optuna.samplers import GridSampler

    return GridSampler({name: grid_values(one, points) for name, one in dimensions.items()}, seed=search_seed)


def grid_values(one: Any, points: int) -> list[Any]:
    """Return the values of a dimension on a grid, of numbers `points` at most."""
    import numpy as np

    from rlkit.config.search_space import label

    if one.choices:
        return [label(choice) for choice in one.choices]
    if one.is_whole and (one.high - one.low) // one.step < points:
        return list(range(int(one.low), int(one.high) + 1, int(one.step)))
    spaced = (np.geomspace if one.log else np.linspace)(one.low, one.high, points).tolist()
    if one.is_whole:
        return sorted({int(one.low + round((value - one.low) / one.step) * one.step) for value in spaced})
    return list(dict.fromkeys(map(one.rounded, spaced)))
