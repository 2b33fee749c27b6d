"""Semi-gradient Q-learning (Sutton & Barto, 2nd ed., section 11.1), which may diverge, and often does not."""

from __future__ import annotations

from rlkit.algorithms.linear.agent import FeatureStep, LinearControl, max_value


class LinearQ(LinearControl):
    """Linear action values, moved at every step towards the reward and the successor's largest value.

    With traces it is Watkins's Q(lambda) (section 12.10): they end where an action was not greedy.
    """

    name = "linear_q"
    off_policy = True

    def target(self, step: FeatureStep) -> float:
        """Return ``r_t + discount_t * max_a q(s_t, a)``."""
        q_t = self.linear.row(step.index_t, step.value_t)
        return step.r_t + step.discount_t * max_value(q_t, step.legal_t)
