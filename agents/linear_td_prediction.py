"""Semi-gradient TD(0) and TD(lambda) (Sutton & Barto, 2nd ed., sections 9.3 and 12.2)."""

from __future__ import annotations

import numpy as np

from rlkit.algorithms.fixed_policies import PolicyActor
from rlkit.algorithms.linear.agent import LinearValues, feature_steps
from rlkit.algorithms.linear.features import Features
from rlkit.core.ranges import Probability
from rlkit.core.schedules import RateSchedule
from rlkit.core.types import Actor, Array, Metrics, State, Transition, require_probability


class LinearTDPrediction(PolicyActor):
    """State values of a policy as a linear function of features.

    Attributes:
        linear: the values; a state's value is that of its only action, 0.
    """

    def __init__(
        self,
        *,
        features: Features,
        policy: Actor,
        gamma: Probability,
        learning_rate: RateSchedule,
        trace_decay: Probability,
    ):
        """Make the weights.

        Args:
            features: of observations.
            policy: whose values are predicted.
            gamma: discount factor.
            learning_rate: by the number of decisions observed; divided by ``features.norm``.
            trace_decay: lambda of accumulating traces; 0: none.

        Raises:
            UsageError: a gamma or lambda beyond 0 to 1.
        """
        super().__init__(policy)
        self._features, self._learning_rate = features, learning_rate
        self.linear = LinearValues(1, features, trace_decay)
        self._gamma = require_probability("agent.gamma", gamma)
        self._steps = 0
        self._transition: Transition | None = None

    def values(self, observation: Array) -> Array:
        """Return the values [N] of observations [N, ...]."""
        return self.linear.values(self._features(observation))[:, 0]

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`, and count its decisions."""
        self._transition = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other; None where nothing was learned."""
        transition, self._transition = self._transition, None
        if transition is None:
            return None
        step_size = self._learning_rate(self._steps) / self._features.norm
        action = np.zeros(len(transition.last), np.int64)
        unacted = transition._replace(action=action, legal_actions=None, next_legal_actions=None)
        total, n = 0.0, 0
        for i, step in feature_steps(unacted, self._features, self._gamma):
            v_t = float(self.linear.row(step.index_t, step.value_t)[0])
            td_error = self.linear.update(i, step, step.r_t + step.discount_t * v_t, step_size)
            total, n = total + abs(td_error), n + 1
        return {"loss/td": total / n} if n else None

    def state_dict(self) -> State:
        """Return weights, traces and the number of decisions."""
        return {"linear": self.linear.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.linear.load_state_dict(state["linear"])
        self._steps = state["steps"]
