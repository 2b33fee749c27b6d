"""Proximal policy optimisation, with a clipped ratio (Schulman et al., 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.agent import Experience, RolloutAgent
from rlkit.algorithms.policy_gradient.losses import (
    clip_fraction,
    clipped_policy_loss,
    explained_variance,
    kl_divergence,
    mean,
    normalized,
    value_loss,
)
from rlkit.core.types import FromRun, Metrics, UsageError, require_least, require_positive

NAMES = ("loss/policy", "loss/value", "entropy", "ratio", "kl", "clip_fraction")


class PPO(RolloutAgent):
    """Several epochs of minibatches for each rollout; those of a recurrent network are whole sequences."""

    def __init__(
        self,
        *,
        epochs: int,
        batch_size: int,
        clip: float,
        value_clip: float | None,
        max_kl: float | None,
        value_weight: float,
        entropy_weight: float,
        normalize_advantages: bool,
        rng: FromRun[np.random.Generator],
        **options: Any,
    ):
        """Put the parts together.

        Args:
            epochs: passes over a rollout.
            batch_size: steps in a minibatch; the last one of an epoch may be smaller.
            clip: how far the ratio of probabilities may move from 1 before its gradient ends.
            value_clip: likewise for values; None: no limit.
            max_kl: an update ends before a minibatch on which the policy has diverged further from the one that acted;
                None: never.
            value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.
            entropy_weight: of the policy's entropy, which keeps it exploring.
            normalize_advantages: to mean 0 and standard deviation 1 in each minibatch.
            rng: shuffles.
            options: those of `RolloutAgent`.

        Raises:
            UsageError: a recurrent network's sequences are longer than a minibatch, or a number that cannot be.
        """
        require_least(1, "agent", epochs=epochs, batch_size=batch_size)
        require_positive("agent", clip=clip, value_clip=value_clip, max_kl=max_kl)
        super().__init__(**options)
        self._epochs, self._clip, self._value_clip, self._max_kl = epochs, clip, value_clip, max_kl
        self._value_weight, self._entropy_weight = value_weight, entropy_weight
        self._normalize, self._rng = normalize_advantages, rng
        self._sequences = batch_size // options["n_steps"] if self.network.hidden_size else batch_size
        if self._sequences == 0:
            raise UsageError(
                f"agent.batch_size is {batch_size}; a recurrent network learns whole sequences: give it at least "
                f"agent.n_steps={options['n_steps']}"
            )

    def _learn(self, experience: Experience) -> Metrics:
        figures: list[Tensor] = []
        for _ in range(self._epochs):
            order = torch.from_numpy(self._rng.permutation(experience.weight.shape[1]))
            for chosen in torch.split(order, self._sequences):
                figures.append(self._step(experience.part(chosen.to(experience.weight.device))))
                if self._too_far(figures[-1]):
                    return self._metrics(experience, figures)
        return self._metrics(experience, figures)

    def _step(self, part: Experience) -> Tensor:
        """Take a gradient step on a minibatch, unless the policy is too far already; return the figures of `NAMES`."""
        weight, old = part.weight.flatten(), part.log_prob.flatten()
        advantage = normalized(part.advantage.flatten(), weight, self._normalize)
        log_prob, entropies, values = self._evaluated(part)
        policy = clipped_policy_loss(log_prob, old, advantage, self._clip, weight)
        value = value_loss(values, part.target.flatten(), weight, part.value.flatten(), self._value_clip)
        entropy = mean(entropies, weight)
        with torch.no_grad():
            ratio = mean((log_prob - old).exp(), weight)
            measured = ratio, kl_divergence(log_prob, old, weight), clip_fraction(log_prob, old, self._clip, weight)
            figures = torch.stack((policy, value, entropy, *measured))
        if not self._too_far(figures):
            self._descend(policy + self._value_weight * value - self._entropy_weight * entropy)
        return figures

    def _too_far(self, figures: Tensor) -> bool:
        return self._max_kl is not None and bool(figures[NAMES.index("kl")] > self._max_kl)

    def _metrics(self, experience: Experience, figures: list[Tensor]) -> Metrics:
        flat = (column.flatten() for column in (experience.value, experience.target, experience.weight))
        means = dict(zip(NAMES, torch.stack(figures).mean(0).tolist(), strict=True))
        more = {"explained_variance": explained_variance(*flat).item(), "minibatches": len(figures)}
        return {**means, **more, "learning_rate": self._learning_rate(self._steps)}

    def state_dict(self) -> dict[str, Any]:
        """Return also the generator."""
        return {**super().state_dict(), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._rng.bit_generator.state = state["rng"]
