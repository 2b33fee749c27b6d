"""Proximal policy optimization, with a clipped ratio (Schulman et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.intrinsic import Intrinsic
from rlkit.algorithms.policy_gradient.losses import (
    clip_fraction,
    clipped_policy_loss,
    explained_variance,
    kl_divergence,
    mean,
    normalized,
    value_loss,
)
from rlkit.algorithms.policy_gradient.rollout_agent import RolloutAgent
from rlkit.algorithms.policy_gradient.rollout_batch import RolloutBatch
from rlkit.algorithms.policy_gradient.settings import OnPolicySettings
from rlkit.core.ranges import PositiveFloat, PositiveInt
from rlkit.core.types import FromRun, Metrics, State, UsageError
from rlkit.networks import ActorCritic


@dataclass(frozen=True, kw_only=True)
class PPOSettings(OnPolicySettings):
    """The settings of `PPO`, beside those of every agent that learns from rollouts; values are in conf/agent/ppo.yaml.

    Attributes:
        epochs: passes over a rollout.
        batch_size: steps in a minibatch; the last one of an epoch may be smaller.
        clip: how far the ratio of probabilities may move from 1 before its gradient ends; epsilon in the paper.
        value_clip: likewise for values; None: no limit.
        max_kl: an update ends before a minibatch on which the policy has diverged further from the one that acted;
            None: never.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    clip: PositiveFloat
    value_clip: PositiveFloat | None
    max_kl: PositiveFloat | None


class PPO(RolloutAgent):
    """Several epochs of minibatches for each rollout; those of a recurrent network are whole sequences."""

    settings: PPOSettings

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: PPOSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
        rng: FromRun[np.random.Generator],
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
            rng: shuffles.
            intrinsic: rewards for what is new; None: there are none.

        Raises:
            UsageError: a recurrent network's sequences are longer than a minibatch, a network with action values, or a
                rate to be annealed without `total_steps`.
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
        self._rng = rng
        self._sequences = settings.batch_size // self._n_steps if network.hidden_size else settings.batch_size
        if self._sequences == 0:
            raise UsageError(
                f"agent.batch_size is {settings.batch_size}; a recurrent network learns whole sequences: set it to at "
                f"least the {self._n_steps} steps of a rollout (agent.n_steps)"
            )

    def _learn(self, rollout: RolloutBatch) -> Metrics:
        steps: list[dict[str, Tensor]] = []
        for _ in range(self.settings.epochs):
            order = torch.from_numpy(self._rng.permutation(rollout.weight.shape[1]))
            for sequences in torch.split(order, self._sequences):
                steps.append(self._gradient_step(rollout.minibatch(sequences.to(rollout.weight.device))))
                if self._too_far(steps[-1]):
                    return self._metrics(rollout, steps)
        return self._metrics(rollout, steps)

    def _gradient_step(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """Take a gradient step on a minibatch, unless the policy is too far already; return the metrics."""
        loss, metrics = self.loss(batch)
        if self.settings.max_kl is not None:
            metrics["kl"] = self._over_ranks(metrics["kl"])
        if not self._too_far(metrics):
            self._optimize(loss)
        return {name: metric.detach() for name, metric in metrics.items()}

    def loss(self, batch: RolloutBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch, and metrics [] by name, through which gradients flow, too."""
        settings, weight, old_log_prob = self.settings, batch.weight.flatten(), batch.log_prob.flatten()
        advantage = normalized(batch.advantage.flatten(), weight, settings.normalize_advantages)
        target, old_value = batch.target.flatten(), batch.value.flatten()

        # Forward.
        log_prob, entropies, value = self._evaluate(batch)

        # Loss.
        policy = clipped_policy_loss(log_prob, old_log_prob, advantage, settings.clip, weight)
        values = self._value_loss(value, target, weight, old_value)
        entropy = mean(entropies, weight)
        loss = policy + settings.value_weight * values - settings.entropy_weight * entropy

        return loss, {
            "loss/policy": policy,
            "loss/value": values,
            "entropy": entropy,
            "ratio": mean((log_prob - old_log_prob).exp(), weight),
            "kl": kl_divergence(log_prob, old_log_prob, weight),
            "clip_fraction": clip_fraction(log_prob, old_log_prob, settings.clip, weight),
        }

    def _value_loss(self, value: Tensor, target: Tensor, weight: Tensor, old_value: Tensor) -> Tensor:
        """Return the loss [] of values [B]; the columns are those of `value_loss`."""
        return value_loss(value, target, weight, old_value, self.settings.value_clip)

    def _too_far(self, metrics: dict[str, Tensor]) -> bool:
        return self.settings.max_kl is not None and bool(metrics["kl"] > self.settings.max_kl)

    def _metrics(self, rollout: RolloutBatch, steps: list[dict[str, Tensor]]) -> Metrics:
        columns = (column.flatten() for column in (rollout.value, rollout.target, rollout.weight))
        rows = torch.stack([torch.stack(list(step.values())) for step in steps])
        means = dict(zip(steps[0], rows.mean(0).tolist(), strict=True))
        more = {"explained_variance": explained_variance(*columns).item(), "minibatches": len(steps)}
        return {**means, **more, "learning_rate": self._learning_rate(self._steps)}

    def state_dict(self) -> State:
        """Return also the generator."""
        return {**super().state_dict(), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._rng.bit_generator.state = state["rng"]
