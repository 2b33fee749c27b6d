"""Semi-gradient Q-learning (Sutton & Barto, 2nd ed., section 11.1), which may diverge, and often does not."""

from __future__ import annotations

from rlkit.algorithms.linear.agent import FeatureStep, LinearControl
from rlkit.algorithms.tabular.q_table import highest


class LinearQ(LinearControl):
    """Linear action values, moved towards ``r + gamma * max_a q(s', a)``; traces end where an action was not greedy."""

    name = "linear_q"

    def _learn(self, i: int, step: FeatureStep, size: float) -> list[float]:
        q_tm1 = self.linear.row(step.index_tm1, step.value_tm1)
        if q_tm1[step.a_tm1] < highest(q_tm1, step.legal_tm1):
            self.linear.cut(i)
        q_t = self.linear.row(step.index_t, step.value_t)
        return [self.linear.learn(i, step, highest(q_t, step.legal), size)]
