"""Settings that agents with a policy network share (torch)."""

from __future__ import annotations

from dataclasses import dataclass

from rlkit.core.ranges import NonNegativeFloat, PositiveInt, Probability
from rlkit.networks import GradientSettings


@dataclass(frozen=True, kw_only=True)
class PolicySettings(GradientSettings):
    """Of every agent that goes down a policy gradient.

    Attributes:
        gamma: discount factor.
        entropy_weight: of the policy's mean entropy in the loss, which keeps it exploring.
    """

    gamma: Probability
    entropy_weight: float


@dataclass(frozen=True, kw_only=True)
class OnPolicySettings(PolicySettings):
    """Of agents that learn from rollouts of N environments side by side.

    Attributes:
        n_steps: T, of each environment between updates.
        gae_lambda: 1: returns of up to T steps; less: weighted means of shorter ones (Schulman et al., 2016).
        scale_rewards: rewards are scaled by `rlkit.algorithms.policy_gradient.normalization.RewardScale`.
        normalize_advantages: to mean 0 and standard deviation 1 in each gradient step.
        value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.
    """

    n_steps: PositiveInt
    gae_lambda: Probability
    scale_rewards: bool
    normalize_advantages: bool
    value_weight: NonNegativeFloat
