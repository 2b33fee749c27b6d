"""Semi-gradient SARSA and SARSA(lambda) (Sutton & Barto, 2nd ed., sections 10.1 and 12.7)."""

from __future__ import annotations

from functools import cached_property

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.linear.agent import FeatureStep, LinearControl
from rlkit.algorithms.tabular.traces import PendingSteps
from rlkit.core.types import Array, State


class LinearSarsa(LinearControl):
    """Linear action values, moved towards the reward and the value of what is done next.

    A step is learned from after the next action; where an episode was truncated, `a_t` is drawn at the true successor.
    """

    name = "linear_sarsa"

    @cached_property
    def pending(self) -> PendingSteps[FeatureStep]:
        """The newest step of each environment."""
        return PendingSteps(FeatureStep)

    def learn(self, i: int, step: FeatureStep, step_size: float) -> list[float]:
        """Learn from the steps of environment `i` whose next action is known now; return the TD errors."""
        errors: list[float] = []
        for ready in self.pending.swap(i, step):
            errors += super().learn(i, ready, step_size)
        return errors

    def target(self, step: FeatureStep) -> float:
        """Return ``r_t + discount_t * q(s_t, a_t)``."""
        q_t = self.linear.row(step.index_t, step.value_t)
        a_t = self.draw(step, q_t) if step.a_t is None else step.a_t
        return step.r_t + step.discount_t * float(q_t[a_t])

    def draw(self, step: FeatureStep, q_t: Array) -> int:
        """Return an epsilon-greedy action for the successor, of values `q_t` [A], of an episode's last step."""
        legal = None if step.legal_t is None or step.discount_t == 0 else step.legal_t[None]
        return int(epsilon_greedy(q_t[None], self.epsilon_t, self._rng, legal)[0])

    def state_dict(self) -> State:
        """Return also the steps that wait for the next action."""
        return {**super().state_dict(), "pending": self.pending.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self.pending.load_state_dict(state["pending"])
