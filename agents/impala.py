"""IMPALA: A2C on rollouts of an older policy, corrected by V-trace (Espeholt et al., 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
from rlkit.core.ranges import PositiveFloat
from rlkit.core.targets import vtrace
from rlkit.core.types import FromRun, Metrics, Transition
from rlkit.networks import ActorCritic


@dataclass(frozen=True, kw_only=True)
class IMPALASettings(OnPolicySettings):
    """The settings of `IMPALA`, beside those of every agent that learns from rollouts; values: conf/agent/impala.yaml.

    Attributes:
        clip: upper bound of the ratios of probabilities, both rho and c in the paper.
    """

    clip: PositiveFloat


class IMPALA(RolloutAgent):
    """One gradient step for each rollout, of which the policy that acted may be one update older.

    Attributes:
        tolerated_lag: one fragment, which V-trace corrects.
    """

    tolerated_lag = 1
    steps_once = True
    settings: IMPALASettings

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: IMPALASettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            network: policy and values of states.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            notify: takes a line for the user.

        Raises:
            UsageError: a network with action values, or a rate to be annealed without `total_steps`.
        """
        super().__init__(network, settings, num_envs=num_envs, total_steps=total_steps, device=device, notify=notify)

    def fragment_steps(self) -> int:
        """Return the steps of a whole rollout, for `rlkit.core.remote`."""
        return self._n_steps

    def _learn(self, rollout: RolloutBatch) -> Metrics:
        assert self._successor is not None, "a full rollout has a last transition"
        log_prob, entropies, value = self._evaluate(rollout)
        ratio = (log_prob.detach() - rollout.log_prob.flatten()).exp()
        target, advantage = self._corrected(value.detach(), ratio, self._successor)
        loss, parts = self.loss(rollout.weight.flatten(), log_prob, entropies, value, target, advantage)
        self._optimize(loss)

        weight = rollout.weight.flatten()
        named = {**parts, "ratio": mean(ratio, weight), "explained_variance": explained_variance(value, target, weight)}
        metrics = torch.stack([metric.detach() for metric in named.values()]).tolist()
        return {**dict(zip(named, metrics, strict=True)), "learning_rate": self._learning_rate(self._steps)}

    def _corrected(self, value: Tensor, ratio: Tensor, end: Transition) -> tuple[Tensor, Tensor]:
        """Return V-trace's targets and advantages [T * N] of the rollout that ended with a transition.

        Args:
            value: [T * N] of the states acted in, by the network that learns.
            ratio: [T * N] of the probability of the action by the policy that learns, to that by the one that acted.
            end: the rollout's last transition.
        """
        rows, settings = self._rollout.columns, self.settings
        shape, valid = rows["last"].shape, rows["valid"]
        v_tm1 = np.where(valid, value.cpu().numpy().reshape(shape), np.float32(0))
        v_t = self._successor_values(end, v_tm1)
        ratios = np.where(valid, ratio.cpu().numpy().reshape(shape), np.float32(1))
        found = vtrace(
            v_tm1, rows["reward"], rows["discount"], v_t, rows["last"], ratios, settings.gae_lambda, settings.clip
        )
        target, advantage = (self._tensor(column.astype(np.float32).ravel()) for column in found)
        return target, advantage

    def loss(
        self, weight: Tensor, log_prob: Tensor, entropies: Tensor, value: Tensor, target: Tensor, advantage: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a rollout, and metrics [] by name, through which gradients flow, too; arguments [B]."""
        settings = self.settings
        policy = policy_gradient_loss(log_prob, normalized(advantage, weight, settings.normalize_advantages), weight)
        values = value_loss(value, target, weight, None, None)
        entropy = mean(entropies, weight)
        loss = policy + settings.value_weight * values - settings.entropy_weight * entropy
        return loss, {"loss/policy": policy, "loss/value": values, "entropy": entropy}
