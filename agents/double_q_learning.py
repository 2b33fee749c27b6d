"""Tabular double Q-learning (van Hasselt, 2010; Sutton & Barto, 2nd ed., section 6.7)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import OffPolicyControl
from rlkit.algorithms.tabular.q_table import Table, Worth


class DoubleQLearning(OffPolicyControl):
    """Two tables: a coin says which one learns, and it is worth to it what the other says of its own best action.

    Acts on the mean of both. A maximum over noisy values is too high on average; here no noise is maximised over and
    believed at once.
    """

    name = "double_q_learning"
    compiled_rule = CompiledRule.DOUBLE_Q_LEARNING
    num_tables = 2

    def _learner(self) -> tuple[Table, Worth]:
        learns, judges = self.tables if self.rng.random() < 0.5 else self.tables[::-1]
        return learns, lambda step: judges.values.item(step.s_t, learns.best(step.s_t, step.legal))
