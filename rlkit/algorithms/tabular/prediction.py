"""Prediction: the value of each state under a fixed policy, by tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.tabular.control import QTable, steps_of
from rlkit.algorithms.tabular.states import DiscreteStates, require_room
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.ranges import NonNegativeFloat, Probability
from rlkit.core.types import (
    Actor,
    Array,
    FromRun,
    Memory,
    Metrics,
    State,
    TimeStep,
    Transition,
    require_probability,
)


class Prediction:
    """Acts as a policy does, exploring or not, and learns a table of state values; a subclass says in `learn` how.

    Attributes:
        table: of values [S, 1]: a state's value is that of its only action, 0.
        v: [S] float64 state values, the same.
    """

    name: str

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        policy: Actor,
        gamma: Probability,
        learning_rate: Probability,
        learning_rate_decay: NonNegativeFloat,
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
        self._policy = policy
        self._states = DiscreteStates(observation_space, agent=self.name)
        self._gamma = require_probability("agent.gamma", gamma)
        shape = (self._states.size, 1)
        require_room(1, *shape)
        values, visits = np.full(shape, float(initial_value)), np.zeros(shape, np.int64)
        self.table = QTable(values, visits, learning_rate, learning_rate_decay)
        self.v = self.table.values[:, 0]
        self._transition: Transition | None = None

    def initial_memory(self, n: int) -> Memory:
        """Return what the policy remembers."""
        return self._policy.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the policy's actions [N]."""
        return self._policy.act(timestep, memory, explore=explore, rng=rng)

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._transition = transition

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other; None where nothing was learned."""
        transition, self._transition = self._transition, None
        if transition is None:
            return None
        action = np.zeros(len(transition.last), np.int64)
        unacted = transition._replace(action=action, legal_actions=None, next_legal_actions=None)
        total, n = 0.0, 0
        for i, step in steps_of(unacted, self._states.index, self._gamma):
            for td_error in self.learn(i, step):
                total, n = total + abs(td_error), n + 1
        return {"loss/td": total / n} if n else None

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from a step of environment `i`; return the errors."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Return the table."""
        return {"table": self.table.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.table.load_state_dict(state["table"])
