"""Semi-gradient Q-learning (Sutton & Barto, 2nd ed., section 11.1), which may diverge, and often does not."""

from __future__ import annotations

import numpy as np

from rlkit.linear import FeatureStep, LinearControl


class LinearQ(LinearControl):
    """Linear action values, moved towards ``r + gamma * max_a q(s', a)``; traces end where an action was not greedy."""

    name = "linear_q"

    def _learn(self, i: int, step: FeatureStep, size: float) -> list[float]:
        q_tm1 = self.linear.row(step.index_tm1, step.value_tm1)
        if q_tm1[step.a_tm1] < q_tm1.max():
            self.linear.cut(i)
        q_t = self.linear.row(step.index_t, step.value_t)
        legal = q_t if step.legal is None else q_t[step.legal]
        return [self.linear.learn(i, step, float(np.max(legal, initial=-np.inf)) if len(legal) else 0.0, size)]
