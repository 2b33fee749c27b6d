"""Policy iteration (Howard, 1960; Sutton & Barto, 2nd ed., section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlkit.algorithms.tabular.planner import Planner, largest_change
from rlkit.core.ranges import PositiveFloat, PositiveInt, Probability
from rlkit.core.types import FromRun, Metrics
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.mdp.iteration import evaluate_and_improve, settled


class PolicyIteration(Planner):
    """A planner: each update evaluates the policy and makes it greedy in its values, until it stays the same."""

    name = "policy_iteration"

    def __init__(
        self,
        *,
        model: FromRun[Callable[[int | None], FiniteMDP]],
        samples: PositiveInt | None,
        observation_space: FromRun[Any],
        gamma: Probability,
        theta: PositiveFloat | None,
        in_place: bool,
    ):
        """Make the model and start with values of 0.

        Args:
            model: returns the model of the environment, estimated from so many samples where it does not have one.
            samples: draws of each action in each state; None: the environment must have a model.
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            gamma: discount factor.
            theta: evaluation stops when no value changes by so much any more; None: by linear solve, exact.
            in_place: sweeps use values of the same sweep (Gauss-Seidel), not only of the one before (Jacobi).

        Raises:
            UsageError: there is no model, the space is not discrete, or gamma is beyond 0 to 1.
        """
        super().__init__(model=model, samples=samples, observation_space=observation_space, gamma=gamma)
        self._theta, self._in_place = theta, in_place

    def improve(self) -> Metrics:
        """Evaluate the policy and make it greedy; return the largest change of a value."""
        plan = evaluate_and_improve(
            self.mdp, self.policy, self.v, 1, gamma=self._gamma, theta=self._theta, in_place=self._in_place
        )
        self.done = settled(self.policy, self.v, plan)
        change = largest_change(self.v, plan.values)
        self.v, self.policy = plan.values, plan.policy
        return {"plan/change": change}
