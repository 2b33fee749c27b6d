"""Semi-gradient SARSA and SARSA(lambda) (Sutton & Barto, 2nd ed., sections 10.1 and 12.7)."""

from __future__ import annotations

from typing import Any

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.linear.agent import FeatureStep, LinearControl
from rlkit.algorithms.tabular.sarsa_step import Waiting
from rlkit.core.types import State


class LinearSarsa(LinearControl):
    """Linear action values, moved towards ``r + gamma * q(s', a')``, where a' is what is done next.

    So a step learns when the next one is taken; where an episode was truncated, a' is drawn at the true successor.
    """

    name = "linear_sarsa"

    def __init__(self, **options: Any):
        """Make the weights; the options are those of `LinearControl`."""
        super().__init__(**options)
        self.waiting = Waiting(FeatureStep)

    def _learn(self, i: int, step: FeatureStep, size: float) -> list[float]:
        return [self.linear.learn(i, done, self._worth(done, a_t), size) for done, a_t in self.waiting.add(i, step)]

    def _worth(self, step: FeatureStep, a_t: int | None) -> float:
        q_t = self.linear.row(step.index_t, step.value_t)
        if a_t is None:
            legal = None if step.legal is None or step.discount_t == 0 else step.legal[None]
            a_t = int(epsilon_greedy(q_t[None], self._share(True), self._rng, legal)[0])
        return float(q_t[a_t])

    def state_dict(self) -> State:
        """Return also the steps that wait for the next."""
        return {**super().state_dict(), "waiting": self.waiting.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.waiting.load_state_dict(state["waiting"])
