"""Monte Carlo prediction (Sutton & Barto, 2nd ed., section 5.1)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.monte_carlo import Episodes, learn_returns
from rlkit.algorithms.tabular.prediction import Prediction
from rlkit.algorithms.tabular.q_table import Step
from rlkit.core.types import State


class MCPrediction(Prediction):
    """State values of a policy, moved towards the returns of whole episodes.

    A truncated episode's return goes on with the value of the state where it was broken off.
    """

    name = "mc_prediction"

    def __init__(self, *, first_visit: bool, **options: Any):
        """Make the table.

        Args:
            first_visit: learn from a state's first visit in an episode only; else from every one.
            options: those of `Prediction`.
        """
        super().__init__(**options)
        self._first_visit = first_visit
        self._episodes = Episodes()

    def _learn(self, i: int, step: Step) -> list[float]:
        episode = self._episodes.add(i, step)
        return learn_returns(episode, self._worth(step), self.table, self._first_visit)

    def state_dict(self) -> State:
        """Return also the episodes under way."""
        return {**super().state_dict(), "episodes": self._episodes.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._episodes.load_state_dict(state["episodes"])
