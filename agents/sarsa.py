"""SARSA (Rummery and Niranjan, 1994; Sutton & Barto, 2nd ed., section 6.4)."""

from __future__ import annotations

from functools import cached_property

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.algorithms.tabular.traces import PendingSteps, Step
from rlkit.core.types import State


class Sarsa(TabularControl):
    """A table of action values, moved towards the reward and the value of what is done next.

    So a step learns when the next one is taken; where an episode was truncated, `a_t` is drawn at the true successor.
    """

    name = "sarsa"
    compiled_rule = CompiledRule.SARSA

    @cached_property
    def pending(self) -> PendingSteps[Step]:
        """The newest step of each environment."""
        return PendingSteps(Step)

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from the steps of environment `i` whose next action is known now; return the TD errors."""
        errors: list[float] = []
        for ready in self.pending.swap(i, step):
            errors += super().learn(i, ready)
        return errors

    def target(self, step: Step) -> float:
        """Return ``r_t + discount_t * Q(s_t, a_t)``."""
        a_t = self.draw(step) if step.a_t is None else step.a_t
        return step.r_t + step.discount_t * self.q[step.s_t, a_t]

    def draw(self, step: Step) -> int:
        """Return an epsilon-greedy action for the successor of an episode's last step."""
        if step.discount_t == 0:
            return 0  # its value is not used
        legal = None if step.legal_t is None else step.legal_t[None]
        return int(epsilon_greedy(self.q.values[step.s_t][None], self.epsilon_t, self.rng, legal)[0])

    def state_dict(self) -> State:
        """Return also the steps that wait for the next action."""
        return {**super().state_dict(), "pending": self.pending.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self.pending.load_state_dict(state["pending"])
