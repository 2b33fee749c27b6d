"""Temporal-difference prediction: TD(0), n-step TD and TD(lambda) (Sutton, 1988)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.prediction import Prediction
from rlkit.algorithms.tabular.q_table import Step
from rlkit.algorithms.tabular.traces import make_credit
from rlkit.core.types import State


class TDPrediction(Prediction):
    """State values of a policy, moved towards ``r + gamma * V(s')`` at every step."""

    name = "td_prediction"

    def __init__(self, *, n_step: int, trace_decay: float, **options: Any):
        """Make the table.

        Args:
            n_step: steps whose rewards are added up before the successor's value is used.
            trace_decay: lambda of eligibility traces; 0: none.
            options: those of `Prediction`.

        Raises:
            UsageError: both `n_step` and `trace_decay`, or what `Prediction` refuses.
        """
        super().__init__(**options)
        self.credit = make_credit(n_step, trace_decay)

    def _learn(self, i: int, step: Step) -> list[float]:
        return self.credit.spread(i, step, self._worth(step), self.table)

    def state_dict(self) -> State:
        """Return also the steps that still learn."""
        return {**super().state_dict(), "credit": self.credit.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.credit.load_state_dict(state["credit"])
