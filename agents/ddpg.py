"""Deep deterministic policy gradient (Lillicrap et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from rlkit.algorithms.off_policy.deterministic import DeterministicAgent
from rlkit.networks import Minibatch
from rlkit.networks.critics import frozen


class DDPG(DeterministicAgent):
    """Q-learning for continuous actions: an actor learns which action is best, in place of a search for the maximum."""

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of critic and actor.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        # Target: the target actor's action, valued by the target critic.
        with torch.no_grad():
            v_t = self.target_outputs(batch.s_t, self.target_action(batch.s_t)).squeeze(1)

        # Critic.
        critic_loss, x_tm1, metrics = self.critics_loss(batch, v_t)
        if not self.policy_due:
            return critic_loss, metrics

        # Actor: climbs the critic, which stays as it is.
        action = self.actor(self.actor_features(batch.s_tm1, x_tm1))
        with frozen(self.critics):
            actor_loss = -self.values.value(self.critics(x_tm1.detach(), action)).mean()
        return critic_loss + actor_loss, {**metrics, "loss/actor": actor_loss}
