"""Which trials are the best, and what a trial is worth."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from rlkit.config.schemas import TrialObjective

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def value_of(scores: Sequence[float], objective: TrialObjective) -> float | None:
    """Return what a run is worth by the mean returns of its evaluations so far; None before the first."""
    if not scores:
        return None
    if objective is TrialObjective.best:
        return max(scores)
    return scores[-1] if objective is TrialObjective.last else sum(scores) / len(scores)


def is_over(trial: FrozenTrial) -> bool:
    """Return whether a trial has ended, in whichever way."""
    return trial.state.is_finished()


def by_value(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that came to their end, the best first; of equals, the one that began first."""
    complete = [trial for trial in trials if trial.state.name == "COMPLETE" and isfinite(trial.value or 0.0)]
    return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))
