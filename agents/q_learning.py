"""Tabular Q-learning (Watkins, 1989; Sutton & Barto, 2nd ed., section 6.5)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.algorithms.tabular.traces import Step


class QLearning(TabularControl):
    """A table of action values, moved at every step towards the reward and the successor's largest value.

    With n-step returns or traces it is Watkins's Q(lambda) (section 12.10): they end where an action was not greedy.
    """

    name = "q_learning"
    compiled_rule = CompiledRule.Q_LEARNING
    off_policy = True

    def target(self, step: Step) -> float:
        """Return ``r_t + discount_t * max_a Q(s_t, a)``."""
        return step.r_t + step.discount_t * self.q.max_value(step.s_t, step.legal_t)
