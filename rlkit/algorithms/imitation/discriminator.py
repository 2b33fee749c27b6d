"""Tells an expert's actions from others, and what that is worth (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from rlkit.core.action_scaling import ActionScaling
from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array, FromRun, Tree, UsageError
from rlkit.networks import as_torso
from rlkit.networks.stacked import StackedHead, StackedMLP
from rlkit.networks.standardize import has_numbers, standardizer

Reward = Literal["positive", "negative", "difference"]
"""``-log(1 - D)``, never below 0; ``log D``, never above; or their sum, ``log D - log(1 - D)`` (Fu et al., 2018)."""


class ActionNumbers:
    """Actions as numbers that a network reads: one-hot, or those of a `Box` in [-1, 1].

    Attributes:
        width: A, how many.
    """

    def __init__(self, space: spaces.Space[Any], limit: float | None):
        """Read actions of `space`; `limit` is that of `ActionScaling`.

        Raises:
            UsageError: they are neither `Discrete` nor `Box`, or what `ActionScaling` refuses.
        """
        if not isinstance(space, spaces.Discrete | spaces.Box):
            raise UsageError(f"the discriminator reads Discrete or Box actions, not {space}; wrap the environment")
        self._scaling = ActionScaling(space, limit) if isinstance(space, spaces.Box) else None
        self.width = int(space.n) if isinstance(space, spaces.Discrete) else self._scaling.width  # type: ignore[union-attr]

    def stored(self, action: Array) -> Array:
        """Return actions [B] or [B, ...] of the environment as they are kept: [B] int64, or [B, A] float32."""
        return action.astype("int64") if self._scaling is None else self._scaling.to_unit(action)

    def numbers(self, stored: Tensor) -> Tensor:
        """Return them as numbers [B, A] float32."""
        return functional.one_hot(stored, self.width).float() if self._scaling is None else stored


class Discriminator(nn.Module):
    """Standardizes and encodes an observation, joins the action's numbers to it, and returns one number.

    It is the logit of D, how likely the action is an expert's.

    Attributes:
        standardize: of the observations' numbers, set from outside; None: they have none.
        actions: how actions are read.
    """

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        *,
        hidden: Sequence[PositiveInt],
        activation: str,
        action_limit: float | None,
    ):
        """Put the layers on the torso.

        Args:
            torso: encodes observations (any module: `as_torso`).
            observation_space: of one environment.
            action_space: of one environment, `Discrete` or `Box`.
            hidden: width of each layer after the encoder.
            activation: one of `rlkit.networks.ACTIVATIONS`.
            action_limit: what stands for infinite bounds of a `Box`; None: they are refused.

        Raises:
            UsageError: an unknown activation, or actions of another kind.
        """
        super().__init__()
        self.actions = ActionNumbers(action_space, action_limit)
        self.encoder = as_torso(torso, observation_space)
        self.standardize = standardizer(observation_space) if has_numbers(observation_space) else None
        # Stacks of one.
        self.layers = StackedMLP(1, self.encoder.features + self.actions.width, hidden, activation)
        self.head = StackedHead(1, self.layers.features, 1)

    def features(self, observation: Tree, action: Tensor) -> Tensor:
        """Return what is judged, [B, F + A], of observations [B, ...] and actions as they are kept."""
        seen = observation if self.standardize is None else self.standardize(observation)
        return torch.cat((self.encoder.forward(seen), self.actions.numbers(action)), 1)

    def judge(self, features: Tensor) -> Tensor:
        """Return the logits [B] of features [B, F + A]."""
        outputs: Tensor = self.head.forward(self.layers.forward(features))
        return outputs.view(-1)

    def forward(self, observation: Tree, action: Tensor) -> Tensor:
        """Return the logits [B] of D."""
        return self.judge(self.features(observation, action))


def reward_of(logit: Tensor, kind: Reward) -> Tensor:
    """Return what logits [B] of D are worth, [B]."""
    if kind == "difference":
        return logit
    return functional.softplus(logit) if kind == "positive" else -functional.softplus(-logit)


def discriminator_loss(expert: Tensor, policy: Tensor) -> Tensor:
    """Return ``-E log D(expert) - E log(1 - D(policy))`` [] of logits [B] each (Ho & Ermon, 2016)."""
    return functional.softplus(-expert).mean() + functional.softplus(policy).mean()


def gradient_penalty(discriminator: Discriminator, expert: Tensor, policy: Tensor, share: Tensor) -> Tensor:
    """Return how far the slope between both is from 1, squared, on average [] (Gulrajani et al., 2017).

    Args:
        discriminator: judges features.
        expert: [B, F + A] features.
        policy: [B, F + A] likewise.
        share: [B, 1] how far from the policy's to the expert's it is measured.
    """
    between = torch.lerp(policy.detach(), expert.detach(), share).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator.judge(between).sum(), between, create_graph=True)
    # The norm has no gradient at 0, where a constant discriminator is.
    return (((slope.square().sum(1) + 1e-12).sqrt() - 1) ** 2).mean()
