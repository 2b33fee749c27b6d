"""Prediction: what a fixed policy is worth in each state, by tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.fixed_policies import Following
from rlkit.algorithms.tabular.q_table import Step, Table, added, steps_of
from rlkit.algorithms.tabular.states import Counted
from rlkit.core.types import Actor, Array, FromRun, Metrics, State, Transition, require_share


class Prediction(Following):
    """Acts as a policy does, exploring or not, and learns a table of state values; a subclass says how.

    Attributes:
        table: of values [S, 1].
    """

    name: str

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        policy: Actor,
        gamma: float,
        learning_rate: float,
        learning_rate_decay: float,
        initial_value: float,
    ):
        """Make the table.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            policy: what is predicted.
            gamma: discount factor.
            learning_rate: of the first visit of a state.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every state.

        Raises:
            UsageError: a space that is not discrete, or a gamma beyond 0 to 1.
        """
        super().__init__(policy)
        self._states, self._gamma = Counted(observation_space, agent=self.name), require_share("agent.gamma", gamma)
        states = self._states.size
        values, visits = np.full((states, 1), float(initial_value)), np.zeros((states, 1), np.int64)
        self.table = Table(values, visits, learning_rate, learning_rate_decay)
        self._pending: Transition | None = None

    @property
    def v(self) -> Array:
        """[S] float64 state values."""
        return self.table.values[:, 0]

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other."""
        transition, self._pending = self._pending, None
        if transition is None:
            return None
        # A state's value is that of its only action, 0.
        unacted = transition._replace(action=np.zeros(len(transition.last), np.int64), next_legal_actions=None)
        taken = steps_of(unacted, self._states.index, self._gamma)
        errors = [error for i, step in taken for error in self._learn(i, step)]
        return {"loss/td": added(map(abs, errors)) / len(errors)} if errors else None

    def _worth(self, step: Step) -> float:
        return float(self.table.values[step.s_t, 0])

    def _learn(self, i: int, step: Step) -> list[float]:
        """Learn from a step of environment `i` and return the errors."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Return the table."""
        return {"table": self.table.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.table.load_state_dict(state["table"])
