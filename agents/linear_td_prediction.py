"""Semi-gradient TD(0) and TD(lambda) (Sutton & Barto, 2nd ed., sections 9.3 and 12.2)."""

from __future__ import annotations

import numpy as np

from rlkit.algorithms.exploration import Schedule
from rlkit.algorithms.fixed_policies import Following
from rlkit.algorithms.linear.agent import Linear, feature_steps
from rlkit.algorithms.linear.features import Features
from rlkit.core.types import Actor, Array, Metrics, State, Transition, require_share


class LinearTDPrediction(Following):
    """State values of a policy as a linear function of features."""

    def __init__(self, *, features: Features, policy: Actor, gamma: float, learning_rate: Schedule, trace_decay: float):
        """Make the weights.

        Args:
            features: of observations.
            policy: what is predicted.
            gamma: discount factor.
            learning_rate: by the number of decisions observed; divided by ``features.norm``.
            trace_decay: lambda of accumulating traces; 0: none.

        Raises:
            UsageError: a gamma or lambda beyond 0 to 1.
        """
        super().__init__(policy)
        self._features, self._rate = features, learning_rate
        self.linear = Linear(1, features, trace_decay)
        self._gamma = require_share("agent.gamma", gamma)
        self._steps = 0
        self._pending: Transition | None = None

    def values(self, observation: Array) -> Array:
        """Return the values [N] of observations [N, ...]."""
        return self.linear.values(self._features(observation))[:, 0]

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        size = self._rate(self._steps) / self._features.norm
        # A state's value is that of its only action, 0.
        unacted = transition._replace(action=np.zeros(len(transition.last), np.int64), next_legal_actions=None)
        errors = [
            self.linear.learn(i, step, float(self.linear.row(step.index_t, step.value_t)[0]), size)
            for i, step in feature_steps(unacted, self._features, self._gamma)
        ]
        return {"loss/td": sum(map(abs, errors)) / len(errors)}

    def state_dict(self) -> State:
        """Return weights, traces and the number of decisions."""
        return {"linear": self.linear.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.linear.load_state_dict(state["linear"])
        self._steps = state["steps"]
