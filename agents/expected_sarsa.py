"""Expected SARSA (van Seijen et al., 2009; Sutton & Barto, 2nd ed., section 6.6)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.algorithms.tabular.traces import Step


class ExpectedSarsa(TabularControl):
    """A table of action values, moved towards the mean value of what the policy does next, not one action's."""

    name = "expected_sarsa"
    compiled_rule = CompiledRule.EXPECTED_SARSA

    def target(self, step: Step) -> float:
        """Return ``r_t + discount_t * sum_a pi(a | s_t) Q(s_t, a)``, where pi is epsilon-greedy."""
        return step.r_t + step.discount_t * self.q.expected_value(step.s_t, step.legal_t, self.epsilon_t)
