"""Munchausen Q-learning: rewards for what the policy would do anyway (torch; Vieillard, Pietquin & Geist, 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlkit.core.types import Replay, UsageError
from rlkit.networks.return_distributions import Distribution


@dataclass(frozen=True)
class Munchausen:
    """A soft policy ``softmax(Q / temperature)``, whose scaled log-probability is added to the reward.

    Attributes:
        weight: alpha of what is added; 0: soft Q-learning.
        temperature: tau, of the policy.
        lowest: what is added is never below it, before its weight.
    """

    weight: float
    temperature: float
    lowest: float

    def scaled_log_policy(self, values: Tensor) -> Tensor:
        """Return ``temperature * log pi`` [B, A] of values [B, A]."""
        return self.temperature * (values / self.temperature).log_softmax(1)

    def following(self, distribution: Distribution, outputs: Tensor) -> Tensor:
        """Return what the soft policy gets in the successors, its entropy included, as outputs [B, K].

        Args:
            distribution: the meaning of the outputs.
            outputs: [B, A, K] of the target network.
        """
        log_policy = self.scaled_log_policy(distribution.mean(outputs))
        chance = (log_policy / self.temperature).exp()
        return (chance[..., None] * distribution.shifted(outputs, -log_policy)).sum(1)

    def bonus(self, values: Tensor, action: Tensor) -> Tensor:
        """Return what is added to the rewards [B] of actions [B] int64, by the target network's values [B, A]."""
        log_policy = self.scaled_log_policy(values).gather(1, action[:, None]).squeeze(1)
        return self.weight * log_policy.clamp(min=self.lowest, max=0)


def munchausen(
    weight: float | None,
    temperature: float,
    lowest: float,
    *,
    double: bool,
    offline: str,
    distribution: Distribution,
    replay: Replay,
) -> Munchausen | None:
    """Return it as an agent's settings say, or None where `weight` is.

    Raises:
        UsageError: something else that the agent is told does not go with it.
    """
    if weight is None:
        return None
    grid = not distribution.shiftable
    others = {
        "agent.double=true chooses a best action, and a soft policy has none: set agent.double=false": double,
        "the grid of distribution=c51 cannot be shifted: take expected, quantile or implicit_quantile": grid,
        "agent.offline=bcq has a policy of its own: take cql, or none": offline == "bcq",
        "it rewards single steps: set replay.n_step=1": replay.n_step > 1,
    }
    for line, holds in others.items():
        if holds:
            raise UsageError(f"agent.munchausen={weight:g}: {line}")
    return Munchausen(weight, temperature, lowest)


def require_no_masks(legal: Tensor | None) -> None:
    """Check that all actions are legal, without masks [B, A], as a replay has none for the state before.

    Raises:
        UsageError: there are masks.
    """
    if legal is not None:
        raise UsageError("agent.munchausen is for actions that are always legal; set agent.munchausen=null")
