"""One-step actor-critic, online (Sutton & Barto, 2nd ed., section 13.5), with state or action values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.exploration import Schedule
from rlkit.algorithms.policy_gradient.agent import PolicyAgent
from rlkit.algorithms.policy_gradient.losses import all_actions_loss, mean, policy_gradient_loss, value_loss
from rlkit.core.targets import td_target
from rlkit.core.types import FromRun, Metrics, State, Transition, UsageError, require_positive

MEASURED = 100
"""Observations whose scale is measured before anything is learnt, where they are standardised."""


class OnlineActorCritic(PolicyAgent):
    """Learns from each step as it comes.

    With state values the policy learns from the temporal-difference error. With action values it learns from how much
    better each action is than the policy's mean, ``q(s, a) - sum_b pi(b | s) q(s, b)``, over all actions instead of the
    one that was done (Sutton & Barto, 2nd ed., eq. 13.7), and the successor is worth that mean.

    Values have a learning rate of their own: a policy that learns as fast as they do follows what they do not know yet
    (Konda & Tsitsiklis, 2000). Between action values, which know nothing at first of what is seldom done, that ends
    with one action for all states.
    """

    def __init__(
        self,
        *,
        value_rate: float,
        value_weight: float,
        entropy_weight: float,
        discount_weights: bool,
        num_envs: FromRun[int],
        **options: Any,
    ):
        """Put the parts together.

        Args:
            value_rate: the values' learning rate, in those of the policy; a torso of both learns as the policy does.
            value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.
            entropy_weight: of the policy's entropy, which keeps it exploring.
            discount_weights: a step counts ``gamma ** t``, as the gradient of the discounted return has it.
            num_envs: N.
            options: those of `PolicyAgent`.

        Raises:
            UsageError: a recurrent network, or a `value_rate` of 0 or less.
        """
        require_positive("agent", value_rate=value_rate)
        self._value_rate = value_rate
        super().__init__(**options)
        if self.network.hidden_size:
            raise UsageError("agent=actor_critic learns single steps; use agent=a2c with agent.network.recurrent")
        self._value_weight, self._entropy_weight = value_weight, entropy_weight
        self._discount_weights, self._powers = discount_weights, np.ones(num_envs, np.float32)
        self._pending: Transition | None = None

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        return {"policy": self.network.policy_parameters(), "value": self.network.value_parameters()}

    def _rate_of(self, part: str) -> Schedule:
        rate = super()._rate_of(part)
        return rate if part == "policy" else lambda steps: self._value_rate * rate(steps)

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._seen(transition)
        self._pending = transition

    def update(self) -> Metrics | None:
        """Learn from the last transition."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        valid = self._tensor(transition.valid.astype(np.float32))
        metrics = self._learn(transition, valid) if self._measured else None
        if self._moments is not None and self._moments.count >= MEASURED:
            self._standardize()
        if self._discount_weights:
            after = np.where(transition.last, np.float32(1), np.float32(self.gamma) * self._powers)
            self._powers = np.where(transition.valid, after, self._powers)
        return metrics

    def _learn(self, transition: Transition, weight: Tensor) -> Metrics:
        sample = self._tensor(transition.memory["sample"])
        parameters, values = self._outputs(transition.observation, transition.legal_actions)
        value = values if values.ndim == 1 else values.gather(1, sample.view(-1, 1)).squeeze(1)
        with torch.no_grad():
            following = _of_states(*self._outputs(transition.next_observation, transition.next_legal_actions))
            discount = self.gamma * self._tensor(transition.discount)
            target = td_target(self._tensor(transition.reward), discount, following)
        gradient = self._policy_loss(parameters, values, sample, target, weight)
        policy = self.network.distribution
        error, entropy = value_loss(value, target, weight, None, None), mean(policy.entropy(parameters), weight)
        self._descend(gradient + self._value_weight * error - self._entropy_weight * entropy)
        figures = torch.stack((gradient.detach(), error.detach(), entropy.detach())).tolist()
        names = ("loss/policy", "loss/value", "entropy")
        return {**dict(zip(names, figures, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def _policy_loss(
        self, parameters: Tensor, values: Tensor, sample: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        powers = self._tensor(self._powers)
        if values.ndim == 2:
            return all_actions_loss(parameters, values * powers[:, None], weight)
        log_prob = self.network.distribution.log_prob(parameters, sample)
        return policy_gradient_loss(log_prob, (target - values) * powers, weight)

    def _outputs(self, observation: Any, legal_actions: Any) -> tuple[Tensor, Tensor]:
        """Return the policy's parameters, and the values [N] of states or [N, A] of actions."""
        seen = self._tensor(observation)
        outputs = self.network(seen, seen.new_zeros(len(seen), 0))
        return self.network.distribution.masked(outputs.parameters, self._legal(legal_actions)), outputs.values

    def state_dict(self) -> State:
        """Return also how much the next step of each episode counts."""
        return {**super().state_dict(), "powers": self._powers.copy()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._powers = np.array(state["powers"])


def _of_states(parameters: Tensor, values: Tensor) -> Tensor:
    """Return the values [N] of states: of action values [N, A] the policy's mean."""
    return values if values.ndim == 1 else (parameters.softmax(1) * values).sum(1)
