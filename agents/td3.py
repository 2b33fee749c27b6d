"""Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlkit.algorithms.off_policy.deterministic import DeterministicAgent, DeterministicSettings
from rlkit.core.ranges import NonNegativeFloat
from rlkit.networks import Minibatch
from rlkit.networks.critics import FIRST, frozen
from rlkit.networks.stacked import batch_statistics


@dataclass(frozen=True, kw_only=True)
class TD3Settings(DeterministicSettings):
    """The settings of `TD3`, beside those of every agent with a deterministic actor; values are in conf/agent/td3.yaml.

    Attributes:
        target_noise: standard deviation of normal noise on the target actor's actions, in [-1, 1], so that a target is
            a mean over similar actions.
        target_noise_clip: the most that it changes them by.
    """

    target_noise: NonNegativeFloat
    target_noise_clip: NonNegativeFloat


class TD3(DeterministicAgent):
    """A deterministic policy that climbs the first of several critics, whose targets are the least of all.

    The actor and all target networks learn once in `policy_delay` gradient steps.
    """

    settings: TD3Settings

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of critics and actor.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        # Critics: the value of what was done, and of what the target actor would do next, with some noise.
        with torch.no_grad():
            a_t = self.smoothed(self.target_action(batch.s_t))
        x_tm1, q_tm1, q_t = self.action_values(batch, a_t)
        critics_loss, metrics = self.critics_loss(batch, q_tm1, q_t.squeeze(1))
        if not self.policy_due:
            return critics_loss, metrics

        # Actor: climbs the first critic, which stays as it is.
        with batch_statistics(self.actor):
            action = self.actor(self.actor_features(batch.s_tm1, x_tm1))
        with frozen(self.critics):
            value = self.values.value(self.critics(x_tm1.detach(), action, FIRST))
        actor_loss = self.actor_loss(value, action, batch.a_tm1)
        return critics_loss + actor_loss, {**metrics, "loss/actor": actor_loss}

    def actor_loss(self, value: Tensor, action: Tensor, taken: Tensor) -> Tensor:
        """Return the actor's loss [] for the values [B, 1] of its actions [B, D], where others [B, D] were taken."""
        return -value.mean()

    def smoothed(self, action: Tensor) -> Tensor:
        """Return actions [B, D] with clipped noise."""
        most = self.settings.target_noise_clip
        drawn = torch.randn(action.shape, generator=self._generator, device=action.device).to(action.dtype)
        return (action + (self.settings.target_noise * drawn).clamp(-most, most)).clamp(-1, 1)

    def _follow(self) -> None:
        if self.policy_due:
            super()._follow()
