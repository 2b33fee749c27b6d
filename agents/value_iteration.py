"""Value iteration (Bellman, 1957; Sutton & Barto, 2nd ed., section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlkit.algorithms.tabular.planner import Planner, largest_change
from rlkit.core.ranges import PositiveFloat, PositiveInt, Probability
from rlkit.core.types import FromRun, Metrics
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.mdp.iteration import best_values, policy_improvement


class ValueIteration(Planner):
    """A planner: each update is a sweep ``v(s) <- max_a q(s, a)`` over all states, until nothing changes much."""

    name = "value_iteration"

    def __init__(
        self,
        *,
        model: FromRun[Callable[[int | None], FiniteMDP]],
        samples: PositiveInt | None,
        observation_space: FromRun[Any],
        gamma: Probability,
        theta: PositiveFloat,
    ):
        """Make the model and start with values of 0.

        Args:
            model: returns the model of the environment, estimated from so many samples where it does not have one.
            samples: draws of each action in each state; None: the environment must have a model.
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            gamma: discount factor.
            theta: it is done when no value changes by so much any more.

        Raises:
            UsageError: there is no model, the space is not discrete, or gamma is beyond 0 to 1.
        """
        super().__init__(model=model, samples=samples, observation_space=observation_space, gamma=gamma)
        self._theta = theta

    def improve(self) -> Metrics:
        """Sweep over all states; return the largest change of a value."""
        v, self.v = self.v, best_values(self.mdp, self.q)
        self.policy = policy_improvement(self.mdp, self.v, gamma=self._gamma)
        change = largest_change(v, self.v)
        self.done = change < self._theta
        return {"plan/change": change}
