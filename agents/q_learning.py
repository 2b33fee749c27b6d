"""Tabular Q-learning (Watkins, 1989; Sutton & Barto, 2nd ed., section 6.5)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import OffPolicyControl
from rlkit.algorithms.tabular.q_table import Step, Table, Worth


class QLearning(OffPolicyControl):
    """A table of action values, moved towards ``r + gamma * max_a Q(s', a)`` at every step."""

    name = "q_learning"
    compiled_rule = CompiledRule.Q_LEARNING

    def _learner(self) -> tuple[Table, Worth]:
        return self.tables[0], self._worth

    def _worth(self, step: Step) -> float:
        return self.tables[0].highest(step.s_t, step.legal)
