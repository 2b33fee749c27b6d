"""Monte Carlo control, on- and off-policy (Sutton & Barto, 2nd ed., sections 5.3, 5.4 and 5.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.exploration import uniform
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.algorithms.tabular.monte_carlo import Episodes, learn_returns, learn_weighted_returns
from rlkit.algorithms.tabular.q_table import Step, steps_of
from rlkit.core.types import Array, Memory, State, TimeStep, Transition


class MCControl(TabularControl):
    """A table of action values, moved towards the returns of whole episodes.

    A truncated episode's return goes on with the best action's value where it was broken off.

    Attributes:
        first_visit: only the first visit of a state and action in an episode counts.
        exploring_starts: the first action of an episode is drawn uniformly.
        off_policy: values are those of the greedy policy.
        under_way: the episodes that have not ended.
    """

    name = "mc_control"
    compiled_rule = CompiledRule.FIRST_VISIT

    def __init__(self, *, first_visit: bool, exploring_starts: bool, off_policy: bool, **options: Any):
        """Make the table.

        Args:
            first_visit: learn from the first visit of a state and action in an episode only; else from every one.
            exploring_starts: an episode's first action is drawn uniformly; its first state is the environment's.
            off_policy: learn what the greedy policy is worth, by weighted importance sampling of every visit; rates are
                then the weights' own.
            options: those of `TabularControl`.
        """
        super().__init__(**options)
        self.first_visit, self.exploring_starts, self.off_policy = first_visit, exploring_starts, off_policy
        self.under_way = Episodes()
        self._likelihoods: dict[int, list[float]] = {}

    def _make_tables(self) -> None:
        super()._make_tables()
        self._weights = np.zeros_like(self.q)

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
            action[begins] = uniform(self.q.shape[1], len(begins), rng, legal)
        return action, np.zeros(len(action), bool)

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`, and how likely it was, while the table is the one that was acted on."""
        if self.off_policy and self.states.size:
            for i, step in steps_of(transition, self.states.index, self.gamma):
                self._likelihoods.setdefault(i, []).append(self._likelihood(step))
        super().observe(transition)

    def _learn(self, i: int, step: Step) -> list[float]:
        episode = self.under_way.add(i, step)
        if not episode:
            return []
        worth = self.tables[0].highest(step.s_t, step.legal)
        if not self.off_policy:
            return learn_returns(episode, worth, self.tables[0], self.first_visit)
        return learn_weighted_returns(episode, self._likelihoods.pop(i), worth, self.tables[0], self._weights)

    def _likelihood(self, step: Step) -> float:
        """Return the probability with which the epsilon-greedy policy does what was done."""
        row = self.q[step.s_tm1] if step.legal_tm1 is None else self.q[step.s_tm1][step.legal_tm1]
        share = self._share(True)
        best = row == row.max()
        greedy = (1 - share) / best.sum() if self.q[step.s_tm1, step.a_tm1] == row.max() else 0.0
        return float(share / len(row) + greedy)

    def state_dict(self) -> State:
        """Return also the episodes under way."""
        return {
            **super().state_dict(),
            "episodes": self.under_way.state_dict(),
            "likelihoods": [[i, values] for i, values in self._likelihoods.items()],
            "weights": self._weights.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.under_way.load_state_dict(state["episodes"])
        self._likelihoods = {int(i): list(values) for i, values in state["likelihoods"]}
        self._weights = np.array(state["weights"])
