"""Deep deterministic policy gradient (Lillicrap et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from rlkit.algorithms.off_policy.deterministic import DeterministicAgent
from rlkit.networks import Minibatch
from rlkit.networks.critics import frozen
from rlkit.networks.stacked import batch_statistics


class DDPG(DeterministicAgent):
    """Q-learning for continuous actions: an actor learns which action is best, in place of a search for the maximum."""

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of critic and actor.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        # Critic: the value of what was done, and of what the target actor would do next.
        with torch.no_grad():
            a_t = self.target_action(batch.s_t)
        x_tm1, q_tm1, q_t = self.action_values(batch, a_t)
        critic_loss, metrics = self.critics_loss(batch, q_tm1, q_t.squeeze(1))
        if not self.policy_due:
            return critic_loss, metrics

        # Actor: climbs the critic, which stays as it is.
        with batch_statistics(self.actor):
            action = self.actor(self.actor_features(batch.s_tm1, x_tm1))
        with frozen(self.critics):
            actor_loss = -self.values.value(self.critics(x_tm1.detach(), action)).mean()
        return critic_loss + actor_loss, {**metrics, "loss/actor": actor_loss}
