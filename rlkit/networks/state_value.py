"""The value of a state, beside the values of actions (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import FromRun, Tree
from rlkit.networks.stacked import Norm, StackedHead, StackedMLP
from rlkit.networks.torsos import as_torso


class StateValue(nn.Module):
    """An encoder of observations, fully connected layers, and one number."""

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        *,
        hidden: Sequence[PositiveInt],
        activation: str,
        norm: Norm,
    ):
        """Put the layers on the torso.

        Args:
            torso: encodes observations (any module: `as_torso`).
            observation_space: of one environment.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`.
            norm: one of `rlkit.networks.stacked.Norm`.

        Raises:
            UsageError: an unknown activation.
        """
        super().__init__()
        self.encoder = as_torso(torso, observation_space)
        # A stack of one.
        self.layers = StackedMLP(1, self.encoder.features, hidden, activation, norm=norm)
        self.head = StackedHead(1, self.layers.features, 1)

    def forward(self, observation: Tree) -> Tensor:
        """Return the values [B] of observations [B, ...]."""
        outputs: Tensor = self.head.forward(self.layers.forward(self.encoder.forward(observation)))
        return outputs.view(-1)
