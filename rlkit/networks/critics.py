"""Several estimates of the values of actions at once, on one encoder of observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.action_scaling import free_numbers
from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.types import FromRun, Tree, UsageError
from rlkit.networks.recurrent import with_core
from rlkit.networks.return_distributions import Distribution
from rlkit.networks.stacked import ALL, Members, Norm, StackedHead, StackedMLP
from rlkit.networks.torsos import as_torso

FIRST = slice(1)
"""The first critic alone."""


class Critics(nn.Module):
    """n critics, each with weights of its own, all in the same products of matrices.

    Shapes: n critics, B rows, A actions, D numbers in [-1, 1] in a continuous action, K outputs for each action.

    Attributes:
        encoder: the torso that observations go through first, one for all.
        distribution: the meaning of the K outputs.
        count: n.
    """

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        distribution: Distribution,
        *,
        count: PositiveInt,
        hidden: Sequence[PositiveInt],
        activation: str,
        norm: Norm,
        dropout: ShareBelowOne,
        recurrent: str = "none",
        recurrent_size: PositiveInt = 128,
    ):
        """Put the layers on the torso.

        Args:
            torso: encodes observations (any module: `as_torso`).
            observation_space: of one environment.
            action_space: `Box`, whose numbers are inputs, or `Discrete`, with outputs for every action.
            distribution: the number of outputs of an action, and their meaning.
            count: n.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`.
            norm: one of `rlkit.networks.stacked.Norm`.
            dropout: share of each layer's outputs that are dropped while learning (Hiraoka et al., 2022).
            recurrent: none, gru or lstm, between torso and layers.
            recurrent_size: its width.

        Raises:
            UsageError: an unknown activation or `recurrent`, or actions of another kind.
        """
        super().__init__()
        self.encoder = as_torso(torso, observation_space)
        if recurrent != "none":
            self.encoder = with_core(self.encoder, recurrent, recurrent_size, "critics")
        self.distribution = distribution
        self.count = count
        self._discrete = isinstance(action_space, spaces.Discrete)
        width = self.encoder.features + (0 if self._discrete else action_width(action_space))
        self._actions = int(action_space.n) if isinstance(action_space, spaces.Discrete) else 1
        self.layers = StackedMLP(count, width, hidden, activation, norm=norm, dropout=dropout)
        self.head = StackedHead(count, self.layers.features, self._actions * distribution.outputs)

    def encode(self, observation: Tree) -> Tensor:
        """Return features [B, F] of observations [B, ...]."""
        return self.encoder.forward(observation)

    def forward(self, features: Tensor, action: Tensor | None, members: Members = ALL) -> Tensor:
        """Return the outputs of `members`: [n, B, 1, K] of actions [B, D]; without actions [n, B, A, K] of them all."""
        x = features if action is None else torch.cat((features, action), 1)
        outputs = self.head.forward(self.layers.forward(x, members), members)
        return outputs.view(*outputs.shape[:2], self._actions, -1)

    def of_taken(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the outputs [n, B, K] of actions that were taken, [B, D], or [B] int64 if they are discrete."""
        return self.taken(self(features, None if self._discrete else action), action)

    def taken(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Return of `outputs` [n, B, C, K] those [n, B, K] of the actions that were taken, as in `of_taken`."""
        if not self._discrete:
            return outputs.squeeze(2)
        index = action.view(1, -1, 1, 1).expand(len(outputs), -1, 1, outputs.shape[3])
        return outputs.gather(2, index).squeeze(2)

    def draw_from(self, generator: torch.Generator | None) -> None:
        """Let `generator` decide what dropout drops."""
        self.layers.draw_from(generator)


def action_width(space: spaces.Space[Any]) -> int:
    """Return D, how many numbers of a `Box` action are a choice.

    Raises:
        UsageError: the actions are of another kind.
    """
    if not isinstance(space, spaces.Box):
        raise UsageError(f"critics need Box or Discrete actions, not {space}; use agent=ppo, a2c, reinforce or es")
    return int(free_numbers(space).sum())


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Compute with the parameters of `module` as constants: gradients flow through it, and none into it."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
