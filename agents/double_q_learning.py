"""Tabular double Q-learning (van Hasselt, 2010; Sutton & Barto, 2nd ed., section 6.7)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.algorithms.tabular.traces import Step


class DoubleQLearning(TabularControl):
    """Two tables: a coin says which one learns, from the other's value of its own best action.

    Acts on the sum of both. A maximum over noisy values is too high on average; here the noise that chooses an action
    is not the noise that values it.
    """

    name = "double_q_learning"
    compiled_rule = CompiledRule.DOUBLE_Q_LEARNING
    num_tables = 2
    off_policy = True

    def learn(self, i: int, step: Step) -> list[float]:
        """Toss the coin, and learn from a step of environment `i`; return the TD errors."""
        self.q, self.other = self.tables if self.rng.random() < 0.5 else self.tables[::-1]
        return super().learn(i, step)

    def target(self, step: Step) -> float:
        """Return ``r_t + discount_t * Q_other(s_t, argmax_a Q(s_t, a))``."""
        a_t = self.q.argmax(step.s_t, step.legal_t)
        return step.r_t + step.discount_t * self.other[step.s_t, a_t]
