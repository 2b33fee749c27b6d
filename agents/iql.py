"""Implicit Q-learning (Kostrikov, Nair & Levine, 2022): offline, and never a value of an action that nobody took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.algorithms.off_policy.stochastic import StochasticAgent
from rlkit.algorithms.off_policy.values import some
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, ShareBelowOne
from rlkit.core.schedules import Constant, Cosine, Schedule
from rlkit.core.types import FromRun, Replay, UsageError
from rlkit.networks import Critics, Minibatch, StateValue, StochasticActor


@dataclass(frozen=True, kw_only=True)
class IQLSettings(OffPolicySettings):
    """The settings of `IQL`, beside those of every `OffPolicyAgent`; values are in conf/agent/iql.yaml.

    Attributes:
        expectile: tau, which share of the weight errors upwards have: 0.5 is the mean over the actions that were taken,
            towards 1 it is the best of them.
        beta: how much more likely an advantage makes an action; 0: cloning.
        max_weight: the most that one counts for.
        anneal_actor: the actor's learning rate falls to 0 at the run's `total_steps`, along half a cosine.
    """

    expectile: ShareBelowOne
    beta: NonNegativeFloat
    max_weight: PositiveFloat
    anneal_actor: bool


class IQL(StochasticAgent):
    """Values of states by expectile regression, of actions by temporal differences, and a policy that imitates.

    Attributes:
        value: the values of states.
    """

    settings: IQLSettings
    needs_data = True

    def __init__(
        self,
        *,
        actor: StochasticActor,
        critics: Critics,
        value: StateValue,
        replay: Replay,
        settings: IQLSettings,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together; `value` is of states, other arguments and errors are those of `OffPolicyAgent`.

        Raises:
            UsageError: there are no target critics.
        """
        if not settings.target_network:
            raise UsageError("agent=iql learns values from target critics; set agent.target_network=true")
        of_run = {"total_steps": total_steps, "device": device, "generator": generator, "notify": notify}
        in_spaces = {"observation_space": observation_space, "action_space": action_space}
        parts: Any = {**in_spaces, **of_run, "slow": ["critics"], "value": value}
        super().__init__(actor, critics, replay, settings, **parts)
        self.value = value

    def actor_schedule(self, total_steps: int | None) -> Schedule:
        """Return it as in `OffPolicyAgent`; it falls if the settings say so and the end is known."""
        rate = self.settings.actor_rate
        falls = self.settings.anneal_actor and total_steps is not None
        return Cosine(rate, 0.0, total_steps) if falls else Constant(rate)

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of value, critics and actor.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        with torch.no_grad():
            v_t = self.value(batch.s_t)

        # Critics: r_t + gamma V(s_t).
        x_tm1 = self.critics.encode(batch.s_tm1)
        critics_loss, metrics = self.critics_loss(batch, self.critics.of_taken(x_tm1, batch.a_tm1), v_t[:, None])
        if not self.policy_due:
            return critics_loss, metrics

        # Value: an expectile of what the actions that were taken are worth.
        v_tm1 = self.value(batch.s_tm1)
        advantage = self.target_values(batch) - v_tm1
        value_loss = (batch.weight * expectile_loss(advantage, self.settings.expectile)).mean()

        # Actor: imitates what was taken, the more the better it was.
        weight = (self.settings.beta * advantage.detach()).exp().clamp(max=self.settings.max_weight)
        log_prob = self.actor.log_prob(self.actor_features(batch.s_tm1, x_tm1), batch.a_tm1)
        actor_loss = -(weight * log_prob).mean()

        more = {"loss/value": value_loss, "loss/actor": actor_loss, "v/mean": v_tm1.mean(), "weight": weight.mean()}
        return critics_loss + value_loss + actor_loss, {**metrics, **more}

    def target_values(self, batch: Minibatch) -> Tensor:
        """Return the target critics' least values [B] of the actions that were taken, without gradient."""
        target: Critics = self._targets["critics"].module
        with torch.no_grad():
            outputs = target.of_taken(target.encode(batch.s_tm1), batch.a_tm1)
            members = some(target.count, self.settings.subset, self._generator, self._device)
            return self.values.target(outputs[members].unsqueeze(2)).mean((1, 2))


def expectile_loss(error: Tensor, tau: float) -> Tensor:
    """Return ``|tau - 1(error < 0)| error^2`` [B]: least where the mean of errors so weighted is 0."""
    return (tau - (error < 0).to(error.dtype)).abs() * error.square()
