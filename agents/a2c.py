"""Advantage actor-critic, synchronous (Mnih et al., 2016)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.agent import Experience, RolloutAgent
from rlkit.algorithms.policy_gradient.losses import (
    explained_variance,
    mean,
    normalized,
    policy_gradient_loss,
    value_loss,
)
from rlkit.core.types import Array, Metrics, State, Transition
from rlkit.networks import Acted, Outputs, replayable


class A2C(RolloutAgent):
    """One gradient step for each rollout."""

    def __init__(self, *, value_weight: float, entropy_weight: float, normalize_advantages: bool, **options: Any):
        """Put the parts together.

        Args:
            value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.
            entropy_weight: of the policy's entropy, which keeps it exploring.
            normalize_advantages: to mean 0 and standard deviation 1 in each update.
            options: those of `RolloutAgent`.
        """
        super().__init__(**options)
        self._value_weight, self._entropy_weight = value_weight, entropy_weight
        self._normalize = normalize_advantages
        self._acted = self._acting_kept()

    def _acting_kept(self) -> Acted | None:
        network = self.network
        plain = not network.hidden_size and network.value_torso is None and network.standardize is None
        if not plain or not replayable(network.policy_torso):
            return None
        return Acted(lambda seen: network.read(self._tensor(seen)), network.policy_torso)

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout."""
        super().observe(transition)
        if self._acted is not None and transition.valid.any():
            self._acted.keep(transition.observation)

    def _decide(self, observation: Array, hidden: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        if self._acted is None:
            return super()._decide(observation, hidden)
        return self.network.on_features(self._acted.see(observation))

    def _outputs(self, experience: Experience) -> Outputs:
        return super()._outputs(experience) if self._acted is None else self.network.on_features(self._acted.take())

    def _learn(self, experience: Experience) -> Metrics:
        weight, target = experience.weight.flatten(), experience.target.flatten()
        advantage = normalized(experience.advantage.flatten(), weight, self._normalize)
        log_prob, entropies, values = self._evaluated(experience)
        policy, value = (
            policy_gradient_loss(log_prob, advantage, weight),
            value_loss(values, target, weight, None, None),
        )
        entropy = mean(entropies, weight)
        self._descend(policy + self._value_weight * value - self._entropy_weight * entropy)
        explained = explained_variance(experience.value.flatten(), target, weight)
        names = ("loss/policy", "loss/value", "entropy", "explained_variance")
        figures = torch.stack((policy.detach(), value.detach(), entropy.detach(), explained)).tolist()
        return {**dict(zip(names, figures, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        if self._acted is not None:
            self._acted.restore(state["rollout"]["columns"].get("observation", ()))
