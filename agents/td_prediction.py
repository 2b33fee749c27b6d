"""Temporal-difference prediction: TD(0), n-step TD and TD(lambda) (Sutton, 1988)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.prediction import Prediction
from rlkit.algorithms.tabular.traces import Step, make_traces
from rlkit.core.ranges import NonNegativeFloat, PositiveInt, Probability
from rlkit.core.types import Actor, FromRun, State


class TDPrediction(Prediction):
    """State values of a policy, moved at every step towards the reward and the successor's value.

    Attributes:
        traces: how earlier steps learn from the newest; None: by one-step targets alone.
    """

    name = "td_prediction"

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        policy: Actor,
        gamma: Probability,
        learning_rate: Probability,
        learning_rate_decay: NonNegativeFloat,
        initial_value: float,
        n_step: PositiveInt,
        trace_decay: Probability,
    ):
        """Make the table.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            policy: whose values are predicted.
            gamma: discount factor.
            learning_rate: of the first visit of a state.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every state.
            n_step: steps whose rewards are added up before the successor's value is used.
            trace_decay: lambda of eligibility traces; 0: none, and only with an `n_step` of 1.

        Raises:
            UsageError: a space that is not discrete, a gamma beyond 0 to 1, or both `n_step` and `trace_decay`.
        """
        super().__init__(
            observation_space=observation_space,
            policy=policy,
            gamma=gamma,
            learning_rate=learning_rate,
            learning_rate_decay=learning_rate_decay,
            initial_value=initial_value,
        )
        self.traces = make_traces(n_step, trace_decay)

    def learn(self, i: int, step: Step) -> list[float]:
        """Move V(s_tm1) towards ``r_t + discount_t * V(s_t)``; return the TD errors."""
        target = step.r_t + step.discount_t * self.table[step.s_t, 0]
        if self.traces is None:
            return [self.table.update(step.s_tm1, 0, target)]
        return self.traces.update(self.table, i, step, target)

    def state_dict(self) -> State:
        """Return also the steps that still learn."""
        return {**super().state_dict(), "traces": None if self.traces is None else self.traces.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        if self.traces is not None:
            self.traces.load_state_dict(state["traces"])
