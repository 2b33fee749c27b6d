"""Which trials end early: pruners of Optuna's, by the names of ``conf/pruner/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rlkit.core.ranges import NonNegativeInt, PositiveInt, Range
from rlkit.core.types import FromRun

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


def none() -> BasePruner:
    """End no trial early."""
    from optuna.pruners import NopPruner

    return NopPruner()


def median(startup_trials: NonNegativeInt, warmup_steps: NonNegativeInt) -> BasePruner:
    """End a trial whose best value so far is below the median of the others at the same step.

    Args:
        startup_trials: complete trials before which none is ended.
        warmup_steps: steps of a trial before which it is not ended.
    """
    from optuna.pruners import MedianPruner

    return MedianPruner(startup_trials, warmup_steps)


def halving(first: FromRun[int], factor: Annotated[int, Range(2)], rung: NonNegativeInt) -> BasePruner:
    """Let one in `factor` trials go on at each rung: asynchronous successive halving (Li et al., 2020).

    Args:
        first: the steps to a run's first evaluation.
        factor: how much further a rung is than the one before.
        rung: the first that ends trials, at ``first * factor ** rung`` steps.
    """
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor, min_early_stopping_rate=rung)


def hyperband(first: FromRun[int], total: FromRun[int], factor: Annotated[int, Range(2)]) -> BasePruner:
    """Halve successively in several brackets, which begin to end trials at different steps (Li et al., 2018).

    Args:
        first: the steps to a run's first evaluation.
        total: the steps of a run.
        factor: how much further a rung is than the one before.
    """
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(min_resource=first, max_resource=total, reduction_factor=factor)


def percentile(
    percent: Annotated[float, Range(0, 100)], startup_trials: PositiveInt, warmup_steps: NonNegativeInt
) -> BasePruner:
    """End a trial whose best value so far is not among the best `percent` of the others at the same step.

    Args:
        percent: how many are kept.
        startup_trials: complete trials before which none is ended.
        warmup_steps: steps of a trial before which it is not ended.
    """
    from optuna.pruners import PercentilePruner

    return PercentilePruner(percent, startup_trials, warmup_steps)
