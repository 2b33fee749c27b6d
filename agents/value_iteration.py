"""Value iteration (Bellman, 1957; Sutton & Barto, 2nd ed., section 4.4)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.planner import Planner, largest_change
from rlkit.core.types import Metrics
from rlkit.planning.mdp.iteration import best_values, policy_improvement


class ValueIteration(Planner):
    """A planner: each update is a sweep ``v(s) <- max_a q(s, a)`` over all states, until nothing changes much."""

    name = "value_iteration"

    def __init__(self, *, theta: float, **options: Any):
        """Take the model.

        Args:
            theta: it is done when no value changes by so much any more.
            options: those of `Planner`.
        """
        super().__init__(**options)
        self._theta = theta

    def _think(self) -> Metrics:
        before, self.v = self.v, best_values(self.mdp, self.q)
        self.policy = policy_improvement(self.mdp, self.v, gamma=self._gamma)
        change = largest_change(before, self.v)
        self.done = change < self._theta
        return {"plan/change": change}
