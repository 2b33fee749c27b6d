"""A run that ends when its evaluations get no better."""

from __future__ import annotations

from rlkit.core.callback import Callback
from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.statistics import EvaluationResult
from rlkit.core.types import State, require_least


class EarlyStoppingCallback(Callback):
    """Stops a run when its mean return has not improved for so many evaluations (Prechelt, 1998)."""

    def __init__(self, patience: PositiveInt, min_delta: NonNegativeFloat):
        """Wait for the first evaluation.

        Args:
            patience: evaluations without a better one, in a row.
            min_delta: by how much a mean return must exceed the best one to count as better.

        Raises:
            UsageError: one is out of range.
        """
        require_least(1, "callback.early_stopping", patience=patience)
        require_least(0, "callback.early_stopping", min_delta=min_delta)
        self._patience = patience
        self._min_delta = min_delta
        self._best: float | None = None
        self._worse = 0  # evaluations since the best one

    def evaluation(self, evaluation: EvaluationResult) -> str | None:
        """Compare the mean return with the best one."""
        mean = evaluation.mean_return
        if self._best is None or mean > self._best + self._min_delta:
            self._best, self._worse = mean, 0
            return None
        self._worse += 1
        if self._worse < self._patience:
            return None
        return f"no better evaluation in {self._patience} (the best: {self._best:.4g})"

    def state_dict(self) -> State:
        """Return the best mean return, and how many evaluations came since."""
        return {"best": self._best, "worse": self._worse}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._best, self._worse = state["best"], state["worse"]
