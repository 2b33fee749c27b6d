"""Advantage actor-critic, synchronous (Mnih et al., 2016)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.intrinsic import Intrinsic
from rlkit.algorithms.policy_gradient.losses import (
    explained_variance,
    mean,
    normalized,
    policy_gradient_loss,
    value_loss,
)
from rlkit.algorithms.policy_gradient.rollout_agent import RolloutAgent
from rlkit.algorithms.policy_gradient.rollout_batch import RolloutBatch
from rlkit.algorithms.policy_gradient.settings import OnPolicySettings
from rlkit.core.types import FromRun, Metrics
from rlkit.networks import ActorCritic


@dataclass(frozen=True, kw_only=True)
class A2CSettings(OnPolicySettings):
    """The settings of `A2C`: those of every agent that learns from rollouts; values are in conf/agent/a2c.yaml."""


class A2C(RolloutAgent):
    """One gradient step for each rollout."""

    steps_once = True

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: A2CSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
        intrinsic: Intrinsic | None = None,
    ):
        """Put the parts together.

        Args:
            network: policy and values of states.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            notify: takes a line for the user.
            intrinsic: rewards for what is new; None: there are none.

        Raises:
            UsageError: a network with action values, or a rate to be annealed without `total_steps`.
        """
        super().__init__(
            network,
            settings,
            num_envs=num_envs,
            total_steps=total_steps,
            device=device,
            notify=notify,
            intrinsic=intrinsic,
        )

    def _learn(self, rollout: RolloutBatch) -> Metrics:
        loss, parts = self.loss(rollout)
        self._optimize(loss)

        columns = (column.flatten() for column in (rollout.value, rollout.target, rollout.weight))
        named = {**parts, "explained_variance": explained_variance(*columns)}
        metrics = torch.stack([metric.detach() for metric in named.values()]).tolist()
        return {**dict(zip(named, metrics, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def loss(self, rollout: RolloutBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a rollout, and metrics [] by name, through which gradients flow, too."""
        settings, weight, target = self.settings, rollout.weight.flatten(), rollout.target.flatten()
        advantage = normalized(rollout.advantage.flatten(), weight, settings.normalize_advantages)

        # Forward.
        log_prob, entropies, value = self._evaluate(rollout)

        # Loss.
        policy = policy_gradient_loss(log_prob, advantage, weight)
        values = value_loss(value, target, weight, None, None)
        entropy = mean(entropies, weight)
        loss = policy + settings.value_weight * values - settings.entropy_weight * entropy

        return loss, {"loss/policy": policy, "loss/value": values, "entropy": entropy}
