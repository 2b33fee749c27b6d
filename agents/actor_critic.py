"""One-step actor-critic, online (Sutton & Barto, 2nd ed., section 13.5), with state or action values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.policy_gradient.losses import all_actions_loss, mean, policy_gradient_loss, value_loss
from rlkit.algorithms.policy_gradient.policy_agent import NOTHING, PolicyAgent
from rlkit.algorithms.policy_gradient.settings import PolicySettings
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat
from rlkit.core.schedules import Schedule
from rlkit.core.targets import td_target
from rlkit.core.types import Array, FromRun, Metrics, State, Transition, Tree, UsageError
from rlkit.networks import ActorCritic

MEASURED = 100
"""Observations whose scale is measured before anything is learned, where they are standardized."""


@dataclass(frozen=True, kw_only=True)
class ActorCriticSettings(PolicySettings):
    """The settings of `OnlineActorCritic`, beside those of every agent with a policy; see conf/agent/actor_critic.yaml.

    Attributes:
        value_rate: the values' learning rate, in those of the policy; a torso of both learns as the policy does.
        value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.
        discount_weights: a step counts ``gamma ** t``, as the gradient of the discounted return has it.
    """

    value_rate: PositiveFloat
    value_weight: NonNegativeFloat
    discount_weights: bool


class OnlineActorCritic(PolicyAgent):
    """Learns from each step as it comes.

    With state values the policy learns from the temporal-difference error. With action values it learns from how much
    better each action is than the policy's mean, ``q(s, a) - sum_b pi(b | s) q(s, b)``, over all actions instead of the
    one taken (Sutton & Barto, 2nd ed., eq. 13.7), and that mean is the successor's value.

    Values have a learning rate of their own: a policy that learns as fast as they do follows values that are not
    accurate yet (Konda & Tsitsiklis, 2000). With action values, which are poor at first for rare actions, that ends
    with one action for all states.
    """

    settings: ActorCriticSettings

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: ActorCriticSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
    ):
        """Put the parts together.

        Args:
            network: policy and values, of states or of actions.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.

        Raises:
            UsageError: a recurrent network, or a rate to be annealed without `total_steps`.
        """
        super().__init__(network, settings, total_steps=total_steps, device=device)
        if network.hidden_size:
            raise UsageError("agent=actor_critic learns single steps; use agent=a2c with agent.network.recurrent")
        self._powers = np.ones(num_envs, np.float32)
        self._pending: Transition | None = None

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        return {"policy": self.network.policy_parameters(), "value": self.network.value_parameters()}

    def _rate_of(self, part: str) -> Schedule:
        rate = super()._rate_of(part)
        return rate if part == "policy" else lambda decisions: self.settings.value_rate * rate(decisions)

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._count(transition)
        self._pending = transition

    def update(self) -> Metrics | None:
        """Learn from the last transition."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        valid = self._tensor(transition.valid.astype(np.float32))
        metrics = self._learn(transition, valid) if self._measured else None
        if self._statistics is not None and self._statistics.count >= MEASURED:
            self._standardize()
        if self.settings.discount_weights:
            after = np.where(transition.last, np.float32(1), np.float32(self.settings.gamma) * self._powers)
            self._powers = np.where(transition.valid, after, self._powers)
        return metrics

    def _learn(self, transition: Transition, weight: Tensor) -> Metrics:
        """Take a gradient step on a transition whose rows count by `weight` [N]."""
        loss, parts = self.loss(transition, weight)
        self._optimize(loss)

        metrics = torch.stack([metric.detach() for metric in parts.values()]).tolist()
        return {**dict(zip(parts, metrics, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def loss(self, transition: Transition, weight: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a transition whose rows count by `weight` [N], and metrics [] by name."""
        settings, a_tm1 = self.settings, self._tensor(transition.memory["sample"])

        # Forward.
        parameters, values = self._outputs(transition.observation, transition.legal_actions)
        v_tm1 = values if values.ndim == 1 else values.gather(1, a_tm1.view(-1, 1)).squeeze(1)
        entropy = mean(self.network.distribution.entropy(parameters), weight)

        # Target.
        with torch.no_grad():
            v_t = _of_states(*self._outputs(transition.next_observation, transition.next_legal_actions))
            discount_t = settings.gamma * self._tensor(transition.discount)
            target = td_target(self._tensor(transition.reward), discount_t, v_t)

        # Loss.
        policy = self._policy_loss(parameters, values, a_tm1, target, weight)
        error = value_loss(v_tm1, target, weight, None, None)
        loss = policy + settings.value_weight * error - settings.entropy_weight * entropy

        return loss, {"loss/policy": policy, "loss/value": error, "entropy": entropy}

    def _policy_loss(self, parameters: Tensor, values: Tensor, a_tm1: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        powers = self._tensor(self._powers)
        if values.ndim == 2:
            return all_actions_loss(parameters, values * powers[:, None], weight)
        log_prob = self.network.distribution.log_prob(parameters, a_tm1)
        return policy_gradient_loss(log_prob, (target - values) * powers, weight)

    def _outputs(self, observation: Tree, legal_actions: Array | None) -> tuple[Tensor, Tensor]:
        """Return the policy's parameters, and the values [N] of states or [N, A] of actions."""
        outputs = self.network(self._tensor(observation), NOTHING)
        return self.network.distribution.masked(outputs.parameters, self._legal(legal_actions)), outputs.values

    def state_dict(self) -> State:
        """Return also how much the next step of each episode counts."""
        return {**super().state_dict(), "powers": self._powers.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._powers = np.array(state["powers"])


def _of_states(parameters: Tensor, values: Tensor) -> Tensor:
    """Return the values [N] of states: of action values [N, A] the policy's mean."""
    return values if values.ndim == 1 else (parameters.softmax(1) * values).sum(1)
