"""Tabular Q-learning (Watkins, 1989; Sutton & Barto, 2nd ed., section 6.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core import Array, Memory, Metrics, State, TimeStep, Transition
from rlkit.explore import Schedule, epsilon_greedy
from rlkit.spaces import num_actions, num_states, state_index
from rlkit.targets import td_error


class QLearning:
    """A table of action values, moved towards ``r + gamma * max_a Q(s', a)`` at every step.

    Attributes:
        q: [S, A] float64 action values.
        visits: [S, A] int64 how often each was updated.
    """

    def __init__(
        self,
        *,
        observation_space: Any,
        action_space: Any,
        gamma: float,
        epsilon: Schedule,
        learning_rate: float,
        learning_rate_decay: float,
        initial_value: float,
    ):
        """Make the table.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: share of uniformly drawn actions, by the number of decisions observed.
            learning_rate: of the first visit of a state and action.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every action.

        Raises:
            UsageError: a space that is not discrete.
        """
        self._space = observation_space
        shape = (num_states(observation_space, agent="q_learning"), num_actions(action_space, agent="q_learning"))
        self.q = np.full(shape, float(initial_value))
        self.visits = np.zeros(shape, np.int64)
        self._gamma, self._epsilon = gamma, epsilon
        self._rate, self._decay = learning_rate, learning_rate_decay
        self._steps = 0
        self._pending: Transition | None = None

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        q = self.q[state_index(timestep.observation, self._space)]
        epsilon = self._epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, timestep.legal_actions), memory

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        s_tm1 = state_index(transition.observation, self._space).tolist()
        s_t = state_index(transition.next_observation, self._space).tolist()
        # Python's own numbers: one by one they are several times as fast as NumPy's.
        columns = (transition.action.tolist(), transition.reward.tolist(), transition.discount.tolist())
        legal = transition.next_legal_actions
        masks = [None] * len(s_t) if legal is None else list(legal)
        rows = list(zip(s_tm1, *columns, s_t, masks, strict=True))
        # In turn, not at once: environments that meet in one entry would add up to more than a whole step.
        errors = [self._learn(*rows[i]) for i in np.flatnonzero(transition.valid).tolist()]
        return {"loss/td": sum(map(abs, errors)) / len(errors), "epsilon": self._epsilon(self._steps)}

    def _learn(self, s_tm1: int, a_tm1: int, r_t: float, discount: float, s_t: int, legal: Array | None) -> float:
        q_t = self.q[s_t] if legal is None else self.q[s_t][legal]
        # A terminal successor may have no legal action; its discount is 0, so its value is never used.
        v_t = max(q_t.tolist(), default=0.0)
        error: float = td_error(self.q.item(s_tm1, a_tm1), r_t, self._gamma * discount, v_t)
        visits = self.visits.item(s_tm1, a_tm1) + 1
        self.visits[s_tm1, a_tm1] = visits
        self.q[s_tm1, a_tm1] += self._rate * visits**-self._decay * error
        return error

    def state_dict(self) -> State:
        """Return the table, its visits and the number of decisions."""
        return {"q": self.q.copy(), "visits": self.visits.copy(), "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.q, self.visits, self._steps = np.array(state["q"]), np.array(state["visits"]), state["steps"]
