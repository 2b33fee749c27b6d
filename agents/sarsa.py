"""SARSA (Rummery and Niranjan, 1994; Sutton & Barto, 2nd ed., section 6.4)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import TDControl
from rlkit.algorithms.tabular.q_table import Step
from rlkit.algorithms.tabular.sarsa_step import Waiting
from rlkit.core.types import State


class Sarsa(TDControl):
    """A table of action values, moved towards ``r + gamma * Q(s', a')``, where a' is what is done next.

    So a step learns when the next one is taken; where an episode was truncated, a' is drawn at the true successor.
    """

    name = "sarsa"
    compiled_rule = CompiledRule.SARSA

    def __init__(self, **options: Any):
        """Make the table; the options are those of `TDControl`."""
        super().__init__(**options)
        self.waiting = Waiting(Step)

    def _learn(self, i: int, step: Step) -> list[float]:
        ready = self.waiting.add(i, step)
        return [error for done, a_t in ready for error in self._complete(i, done, a_t)]

    def _complete(self, i: int, step: Step, a_t: int | None) -> list[float]:
        table = self.tables[0]
        a_t = self._draw(step) if a_t is None else a_t
        return self.credit.spread(i, step, table.values.item(step.s_t, a_t), table)

    def _draw(self, step: Step) -> int:
        if step.discount_t == 0:
            return 0  # its value is not used
        legal = None if step.legal is None else step.legal[None]
        return int(epsilon_greedy(self.q[step.s_t][None], self._share(True), self.rng, legal)[0])

    def state_dict(self) -> State:
        """Return also the steps that wait for the next."""
        return {**super().state_dict(), "waiting": self.waiting.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.waiting.load_state_dict(state["waiting"])
