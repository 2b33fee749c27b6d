"""Losses of policy gradients as pure functions (torch).

Shapes: B rows; `weight` [B] is 1 for rows that count and 0 for others, and losses are means over those that count.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of the values [B] that count; 0 where none does."""
    return (values * weight).sum() / weight.sum().clamp(min=1)


def policy_gradient_loss(log_prob: Tensor, advantage: Tensor, weight: Tensor) -> Tensor:
    """Return the loss [] whose gradient is the negative policy gradient (Sutton & Barto, 2nd ed., eq. 13.8).

    Args:
        log_prob: [B] of the actions taken, by the policy that learns.
        advantage: [B] of the actions taken; no gradient flows into it.
        weight: [B].
    """
    return -mean(log_prob * advantage.detach(), weight)


def all_actions_loss(logits: Tensor, action_values: Tensor, weight: Tensor) -> Tensor:
    """Return the loss [] of the policy gradient over all actions, not one (Sutton & Barto, 2nd ed., eq. 13.7).

    Its value is 0, as advantages are against the policy's mean; only its gradient is used.

    Args:
        logits: [B, A] of the policy that learns; minus infinity where an action is illegal.
        action_values: [B, A]; no gradient flows into them.
        weight: [B].
    """
    chances, values = logits.softmax(1), action_values.detach()
    return -mean((chances * (values - (chances.detach() * values).sum(1, keepdim=True))).sum(1), weight)


def clipped_policy_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float, weight: Tensor
) -> Tensor:
    """Return PPO's loss [], whose gradient ends where the ratio has left 1 by `clip` (Schulman et al., 2017, eq. 7).

    Args:
        log_prob: [B] of the actions taken, by the policy that learns.
        old_log_prob: [B] by the policy that acted.
        advantage: [B].
        clip: epsilon in the paper.
        weight: [B].
    """
    ratio = (log_prob - old_log_prob).exp()
    within = ratio.clamp(1 - clip, 1 + clip)
    return -mean(torch.minimum(ratio * advantage, within * advantage), weight)


def value_loss(value: Tensor, target: Tensor, weight: Tensor, old_value: Tensor | None, clip: float | None) -> Tensor:
    """Return half the mean squared error []; the gradient ends where a value has moved by `clip` away from `old_value`.

    So a weight of w equals a `vf_coef` of w / 2 in Stable-Baselines3 or Tianshou, which use the whole square, and one
    of w in CleanRL, which halves it.

    Args:
        value: [B].
        target: [B].
        weight: [B].
        old_value: [B] before the update; needed where there is a clip.
        clip: None: the plain error (Schulman et al., 2017, used a clip that the paper does not mention).
    """
    error = (value - target) ** 2
    if clip is not None:
        assert old_value is not None, "a clip is around the old value"
        error = torch.maximum(error, (old_value + (value - old_value).clamp(-clip, clip) - target) ** 2)
    return 0.5 * mean(error, weight)


def kl_divergence(log_prob: Tensor, old_log_prob: Tensor, weight: Tensor) -> Tensor:
    """Return an estimate [], never negative, of the divergence from the policy that acted (Schulman, 2020)."""
    log_ratio = log_prob - old_log_prob
    return mean(log_ratio.exp() - 1 - log_ratio, weight)


def clip_fraction(log_prob: Tensor, old_log_prob: Tensor, clip: float, weight: Tensor) -> Tensor:
    """Return the share [] of rows whose ratio is further from 1 than `clip`."""
    return mean((((log_prob - old_log_prob).exp() - 1).abs() > clip).to(log_prob.dtype), weight)


def explained_variance(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the share [] of the targets' variance that values explain: 1 is all, 0 none, less is worse than a mean."""
    rest, spread = target - value, target - mean(target, weight)
    unexplained = mean((rest - mean(rest, weight)) ** 2, weight)
    return 1 - unexplained / mean(spread**2, weight).clamp(min=1e-12)


def normalized(advantage: Tensor, weight: Tensor, wanted: bool) -> Tensor:
    """Return advantages [B] with mean 0 and standard deviation 1 over the rows that count, where that is wanted.

    A single row stays as it is: less its own mean it would be 0.
    """
    if not wanted:
        return advantage
    centered = advantage - mean(advantage, weight)
    scaled = centered / (mean(centered**2, weight).sqrt() + 1e-8)
    return torch.where(weight.sum() > 1, scaled, advantage)
