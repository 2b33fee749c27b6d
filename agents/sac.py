"""Soft actor-critic (Haarnoja et al., 2018 and 2019), for continuous and discrete actions (Christodoulou, 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.algorithms.off_policy.stochastic import StochasticAgent
from rlkit.algorithms.off_policy.temperature import Temperature
from rlkit.core.types import FromRun, Replay
from rlkit.networks import Critics, Minibatch, StochasticActor
from rlkit.networks.critics import frozen
from rlkit.networks.stacked import batch_statistics


class SAC(StochasticAgent):
    """Maximizes the return and the entropy of the policy, weighted by a temperature.

    Several critics, of which the least counts; a stochastic actor; target critics, but no target actor.

    Attributes:
        entropy_in_targets: the entropy of what is done next counts, too.
    """

    entropy_in_targets = True

    def __init__(
        self,
        *,
        actor: StochasticActor,
        critics: Critics,
        temperature: Temperature,
        replay: Replay,
        settings: OffPolicySettings,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            actor: the policy.
            critics: the values of actions.
            temperature: the weight of the entropy.
            replay: stores and samples transitions.
            settings: all numbers.
            observation_space: of one environment.
            action_space: of one environment, `Box` or `Discrete`.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the networks live.
            generator: on `device`; draws the actions in updates.
            notify: is called with a line for the user.

        Raises:
            UsageError: settings that do not fit each other or the spaces.
        """
        of_run = {"total_steps": total_steps, "device": device, "generator": generator, "notify": notify}
        in_spaces = {"observation_space": observation_space, "action_space": action_space}
        parts: Any = {**in_spaces, **of_run, "slow": ["critics"], "temperature": temperature}
        super().__init__(actor, critics, replay, settings, **parts)
        self.temperature = temperature

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of critics, actor and temperature.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        alpha = self.temperature.alpha

        # Critics: the value of what was done, and of what the policy would do next, its entropy included.
        with torch.no_grad():
            next_ = self.actor(self.actor_features(batch.s_t), self._generator, batch.legal_t)
        x_tm1, q_tm1, q_t = self.action_values(batch, next_.action)
        v_t = next_.mean(q_t) + self.entropy_in_targets * alpha * next_.entropy[:, None]
        critics_loss, metrics = self.critics_loss(batch, q_tm1, v_t)
        if not self.policy_due:
            return critics_loss, metrics

        # Actor: climbs the critics, which stay as they are, and its entropy.
        x, actor_x, legal = self.states_of_policy(batch, x_tm1)
        with batch_statistics(self.actor):
            policy = self.actor(actor_x, self._generator, legal)
        with frozen(self.critics):
            values = self.values.value(self.critics(x, policy.action))
        actor_loss = -((policy.prob * values).sum(1) + alpha * policy.entropy).mean()

        # Temperature.
        temperature_loss = self.temperature.loss(policy.entropy).mean()

        loss = critics_loss + actor_loss + temperature_loss
        more = {
            "loss/actor": actor_loss,
            "loss/temperature": temperature_loss,
            "entropy": policy.entropy.mean(),
            "temperature": alpha,
        }
        return loss, {**metrics, **more}

    def states_of_policy(self, batch: Minibatch, x_tm1: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both features [B, F], of critics and actor, of the states that the policy learns in, and masks [B, A].

        They are those that were acted in; where actions have masks the successors, as the replay holds theirs alone.
        """
        if batch.legal_t is None:
            return x_tm1.detach(), self.actor_features(batch.s_tm1, x_tm1), None
        x_t = self.critics.encode(batch.s_t)
        return x_t.detach(), self.actor_features(batch.s_t, x_t), batch.legal_t
