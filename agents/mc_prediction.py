"""Monte Carlo prediction (Sutton & Barto, 2nd ed., section 5.1)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.monte_carlo import EpisodeBuffer, learn_returns
from rlkit.algorithms.tabular.prediction import Prediction
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.ranges import NonNegativeFloat, Probability
from rlkit.core.types import Actor, FromRun, State


class MCPrediction(Prediction):
    """State values of a policy, moved towards the returns of whole episodes.

    A truncated episode's return goes on with the value of its last state.
    """

    name = "mc_prediction"

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        policy: Actor,
        gamma: Probability,
        learning_rate: Probability,
        learning_rate_decay: NonNegativeFloat,
        initial_value: float,
        first_visit: bool,
    ):
        """Make the table.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            policy: whose values are predicted.
            gamma: discount factor.
            learning_rate: of the first visit of a state.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every state.
            first_visit: learn from a state's first visit in an episode only; else from every one.

        Raises:
            UsageError: a space that is not discrete, or a gamma beyond 0 to 1.
        """
        super().__init__(
            observation_space=observation_space,
            policy=policy,
            gamma=gamma,
            learning_rate=learning_rate,
            learning_rate_decay=learning_rate_decay,
            initial_value=initial_value,
        )
        self._first_visit = first_visit
        self._buffer = EpisodeBuffer()

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from an episode of environment `i` when it has ended; return the errors."""
        episode = self._buffer.add(i, step)
        return learn_returns(self.table, episode, self.table[step.s_t, 0], first_visit=self._first_visit)

    def state_dict(self) -> State:
        """Return also the episodes under way."""
        return {**super().state_dict(), "buffer": self._buffer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._buffer.load_state_dict(state["buffer"])
