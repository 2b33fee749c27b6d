"""Settings that agents with a policy network share (torch)."""

from __future__ import annotations

from dataclasses import dataclass

from rlkit.core.types import require_least, require_probability
from rlkit.networks import GradientSettings


@dataclass(frozen=True, kw_only=True)
class PolicySettings(GradientSettings):
    """Of every agent that goes down a policy gradient.

    Attributes:
        gamma: discount factor.
        entropy_weight: of the policy's mean entropy in the loss, which keeps it exploring.

    Raises:
        UsageError: a gamma beyond 0 to 1, or what `GradientSettings` refuse.
    """

    gamma: float
    entropy_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_probability("agent.gamma", self.gamma)


@dataclass(frozen=True, kw_only=True)
class OnPolicySettings(PolicySettings):
    """Of agents that learn from rollouts of N environments side by side.

    Attributes:
        n_steps: T, of each environment between updates.
        gae_lambda: 1: returns of up to T steps; less: weighted means of shorter ones (Schulman et al., 2016).
        scale_rewards: rewards are scaled by `rlkit.algorithms.policy_gradient.normalization.RewardScale`.
        normalize_advantages: to mean 0 and standard deviation 1 in each gradient step.
        value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.

    Raises:
        UsageError: a lambda beyond 0 to 1, rollouts of no steps, or what `PolicySettings` refuse.
    """

    n_steps: int
    gae_lambda: float
    scale_rewards: bool
    normalize_advantages: bool
    value_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_least(1, "agent", n_steps=self.n_steps)
        require_probability("agent.gae_lambda", self.gae_lambda)
