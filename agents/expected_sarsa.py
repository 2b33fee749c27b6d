"""Expected SARSA (van Seijen et al., 2009; Sutton & Barto, 2nd ed., section 6.6)."""

from __future__ import annotations

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TDControl
from rlkit.algorithms.tabular.q_table import Step, added


class ExpectedSarsa(TDControl):
    """A table of action values, moved towards the mean value of what is done next, not one action's."""

    name = "expected_sarsa"
    compiled_rule = CompiledRule.EXPECTED_SARSA

    def _learn(self, i: int, step: Step) -> list[float]:
        table = self.tables[0]
        row = (table.values[step.s_t] if step.legal is None else table.values[step.s_t][step.legal]).tolist()
        share = self._share(True)
        # At an end there may be no legal action; its discount is 0 then.
        worth = share * added(row) / len(row) + (1 - share) * max(row) if row else 0.0
        return self.credit.spread(i, step, worth, table)
