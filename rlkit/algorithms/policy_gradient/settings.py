"""Settings that agents with a policy network share (torch)."""

from __future__ import annotations

from dataclasses import dataclass

from rlkit.core.ranges import NonNegativeFloat, PositiveInt, Probability
from rlkit.core.types import UsageError
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
        n_steps: T, of each environment between updates; None: by `rollout_size`.
        rollout_size: steps of all environments together between updates, so that more environments make shorter
            rollouts of each; None: by `n_steps`.
        gae_lambda: 1: returns of up to T steps; less: weighted means of shorter ones (Schulman et al., 2016).
        scale_rewards: rewards are scaled by `rlkit.algorithms.policy_gradient.normalization.RewardScale`.
        normalize_advantages: to mean 0 and standard deviation 1 in each gradient step.
        value_weight: of the values' loss, half the squared error: half of what `vf_coef` is for a whole one.

    Raises:
        UsageError: both `n_steps` and `rollout_size` are given, or neither is.
    """

    n_steps: PositiveInt | None
    rollout_size: PositiveInt | None
    gae_lambda: Probability
    scale_rewards: bool
    normalize_advantages: bool
    value_weight: NonNegativeFloat

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.n_steps is None) == (self.rollout_size is None):
            raise UsageError(
                f"agent.n_steps is {self.n_steps} and agent.rollout_size {self.rollout_size}; give one of them, and "
                "set the other to null"
            )

    def steps_of_each(self, num_envs: int) -> int:
        """Return T for `num_envs` environments, at least 1."""
        if self.n_steps is not None:
            return self.n_steps
        assert self.rollout_size is not None, "one of both is given"
        return max(self.rollout_size // num_envs, 1)
