"""Monte Carlo control, on- and off-policy (Sutton & Barto, 2nd ed., sections 5.3, 5.4 and 5.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl, steps_of
from rlkit.algorithms.tabular.monte_carlo import EpisodeBuffer, learn_returns, learn_weighted_returns
from rlkit.algorithms.tabular.states import StateMapping
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.random_actions import uniform
from rlkit.core.ranges import NonNegativeFloat, Probability
from rlkit.core.schedules import ProbabilitySchedule
from rlkit.core.types import Array, FromRun, Memory, State, TimeStep, Transition


class MCControl(TabularControl):
    """A table of action values, moved towards the returns of whole episodes.

    A truncated episode's return goes on with the greatest value of its last state.

    Attributes:
        first_visit: only the first visit of a state and action in an episode counts.
        exploring_starts: the first action of an episode is drawn uniformly.
        off_policy: values are those of the greedy policy.
        buffer: the episodes that have not ended.
    """

    name = "mc_control"
    compiled_rule = CompiledRule.FIRST_VISIT

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        gamma: Probability,
        epsilon: ProbabilitySchedule,
        epsilon_counts: str,
        learning_rate: Probability,
        learning_rate_decay: NonNegativeFloat,
        initial_value: float,
        discretizer: StateMapping | None,
        first_visit: bool,
        exploring_starts: bool,
        off_policy: bool,
        rng: FromRun[np.random.Generator],
    ):
        """Make the table.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`; any with a discretizer for it.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: probability of a uniformly drawn action.
            epsilon_counts: what that schedule counts: ``steps`` (decisions observed), or ``episodes`` ended.
            learning_rate: of the first visit of a state and action.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every action.
            discretizer: makes states of observations; None where those of the space are the states.
            first_visit: learn from the first visit of a state and action in an episode only; else from every one.
            exploring_starts: an episode's first action is drawn uniformly; its first state is the environment's.
            off_policy: learn the greedy policy's values, by weighted importance sampling of every visit; rates are
                then the weights' own.
            rng: what learning itself draws.

        Raises:
            UsageError: a space that is not discrete, a gamma or epsilon beyond 0 to 1, or an unknown unit.
        """
        super().__init__(
            observation_space=observation_space,
            action_space=action_space,
            gamma=gamma,
            epsilon=epsilon,
            epsilon_counts=epsilon_counts,
            learning_rate=learning_rate,
            learning_rate_decay=learning_rate_decay,
            initial_value=initial_value,
            discretizer=discretizer,
            n_step=1,
            trace_decay=0.0,
            rng=rng,
        )
        self.first_visit, self.exploring_starts, self.off_policy = first_visit, exploring_starts, off_policy
        self.buffer = EpisodeBuffer()
        self._likelihoods: dict[int, list[float]] = {}

    def _make_tables(self) -> None:
        super()._make_tables()
        self._weights = np.zeros_like(self.q.values)

    def initial_memory(self, n: int) -> Memory:
        """Return for each environment that its episode begins, [N] bool; nothing without exploring starts."""
        return np.ones(n, bool) if self.exploring_starts else ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring."""
        action, _ = super().act(timestep, (), explore=explore, rng=rng)
        if not self.exploring_starts:
            return action, memory
        begins = np.flatnonzero(memory) if explore else ()
        if len(begins):
            legal = None if timestep.legal_actions is None else timestep.legal_actions[begins]
            action[begins] = uniform(self._num_actions, len(begins), rng, legal)
        return action, np.zeros(len(action), bool)

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`, and its likelihood while the table is still the one acted on."""
        if self.off_policy and self.states.size:
            for i, step in steps_of(transition, self.states.index, self.gamma):
                self._likelihoods.setdefault(i, []).append(self._likelihood(step))
        super().observe(transition)

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from an episode of environment `i` when it has ended; return the errors."""
        episode = self.buffer.add(i, step)
        if not episode:
            return []
        v_t = self.q.max_value(step.s_t, step.legal_t)
        if self.off_policy:
            return learn_weighted_returns(self.q, episode, self._likelihoods.pop(i), v_t, self._weights)
        return learn_returns(self.q, episode, v_t, first_visit=self.first_visit)

    def _likelihood(self, step: Step) -> float:
        """Return the epsilon-greedy policy's probability of the action taken."""
        values = self.q.values[step.s_tm1]
        row = values if step.legal_tm1 is None else values[step.legal_tm1]
        best, epsilon = row == row.max(), self.epsilon_t
        greedy = (1 - epsilon) / best.sum() if values[step.a_tm1] == row.max() else 0.0
        return float(epsilon / len(row) + greedy)

    def state_dict(self) -> State:
        """Return also the episodes under way."""
        return {
            **super().state_dict(),
            "buffer": self.buffer.state_dict(),
            "likelihoods": [[i, values] for i, values in self._likelihoods.items()],
            "weights": self._weights.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self.buffer.load_state_dict(state["buffer"])
        self._likelihoods = {int(i): list(values) for i, values in state["likelihoods"]}
        self._weights = np.array(state["weights"])
