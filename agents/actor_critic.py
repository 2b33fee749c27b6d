"""One-step actor-critic, online (Sutton & Barto, 2nd ed., section 13.5), with state or action values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.core import Metrics, State, Transition, UsageError
from rlkit.on_policy import PolicyAgent
from rlkit.policy_losses import mean, policy_gradient_loss, value_loss
from rlkit.targets import td_target


class OnlineActorCritic(PolicyAgent):
    """Learns from each step as it comes.

    With state values the policy learns from the temporal-difference error; with action values from how much better the
    action is than the policy's mean, ``q(s, a) - sum_b pi(b | s) q(s, b)``, and the successor is worth that mean.
    """

    def __init__(
        self, *, value_weight: float, entropy_weight: float, discount_weights: bool, num_envs: int, **options: Any
    ):
        """Put the parts together.

        Args:
            value_weight: of the values' loss.
            entropy_weight: of the policy's entropy, which keeps it exploring.
            discount_weights: a step counts ``gamma ** t``, as the gradient of the discounted return has it.
            num_envs: N.
            options: those of `PolicyAgent`.

        Raises:
            UsageError: a recurrent network.
        """
        super().__init__(**options)
        if self.network.hidden_size:
            raise UsageError("agent=actor_critic learns single steps; use agent=a2c with agent.network.recurrent")
        self._value_weight, self._entropy_weight = value_weight, entropy_weight
        self._discount_weights, self._powers = discount_weights, np.ones(num_envs, np.float32)
        self._pending: Transition | None = None

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._seen(transition)
        self._pending = transition

    def update(self) -> Metrics | None:
        """Learn from the last transition."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        self._standardize()
        metrics = self._learn(transition, self._tensor(transition.valid.astype(np.float32)))
        if self._discount_weights:
            after = np.where(transition.last, np.float32(1), np.float32(self.gamma) * self._powers)
            self._powers = np.where(transition.valid, after, self._powers)
        return metrics

    def _learn(self, transition: Transition, weight: Tensor) -> Metrics:
        policy, sample = self.network.distribution, self._tensor(transition.memory["sample"])
        parameters, value, own = self._values(transition.observation, transition.legal_actions, sample)
        with torch.no_grad():
            _, _, following = self._values(transition.next_observation, transition.next_legal_actions, None)
            discount = self.gamma * self._tensor(transition.discount)
            target = td_target(self._tensor(transition.reward), discount, following)
            advantage = target - value if own is value else value - own
        gradient = policy_gradient_loss(
            policy.log_prob(parameters, sample), advantage * self._tensor(self._powers), weight
        )
        error, entropy = value_loss(value, target, weight, None, None), mean(policy.entropy(parameters), weight)
        self._descend(gradient + self._value_weight * error - self._entropy_weight * entropy)
        figures = torch.stack((gradient.detach(), error.detach(), entropy.detach())).tolist()
        names = ("loss/policy", "loss/value", "entropy")
        return {**dict(zip(names, figures, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def _values(self, observation: Any, legal_actions: Any, sample: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the policy's parameters, the values [N] of what was done, and those of the states.

        The two are the same where values are of states; with no sample, the first are not wanted.
        """
        seen = self._tensor(observation)
        outputs = self.network(seen, seen.new_zeros(len(seen), 0))
        parameters = self.network.distribution.masked(outputs.parameters, self._legal(legal_actions))
        if outputs.values.ndim == 1:
            return parameters, outputs.values, outputs.values
        states = (parameters.softmax(1) * outputs.values).sum(1)
        chosen = states if sample is None else outputs.values.gather(1, sample.view(-1, 1)).squeeze(1)
        return parameters, chosen, states

    def state_dict(self) -> State:
        """Return also how much the next step of each episode counts."""
        return {**super().state_dict(), "powers": self._powers.copy()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._powers = np.array(state["powers"])
