"""Policy iteration (Howard, 1960; Sutton & Barto, 2nd ed., section 4.3)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.tabular.planner import Planner, largest_change
from rlkit.core.types import Metrics
from rlkit.planning.mdp.iteration import evaluate_and_improve, settled


class PolicyIteration(Planner):
    """A planner: each update evaluates the policy and makes it greedy in what it is worth, until it stays the same."""

    name = "policy_iteration"

    def __init__(self, *, theta: float | None, in_place: bool, **options: Any):
        """Take the model.

        Args:
            theta: evaluation stops when no value changes by so much any more; None: by linear solve, exact.
            in_place: sweeps use values of the same sweep (Gauss-Seidel), not only of the one before (Jacobi).
            options: those of `Planner`.
        """
        super().__init__(**options)
        self._theta, self._in_place = theta, in_place

    def _think(self) -> Metrics:
        plan = evaluate_and_improve(
            self.mdp, self.policy, self.v, 1, gamma=self._gamma, theta=self._theta, in_place=self._in_place
        )
        self.done = settled(self.policy, self.v, plan)
        change = largest_change(self.v, plan.values)
        self.v, self.policy = plan.values, plan.policy
        return {"plan/change": change}
