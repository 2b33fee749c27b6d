"""A torso: layers that add to their input."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.types import FromRun
from rlkit.networks.torsos import Flat, Torso


class Block(nn.Module):
    """A fully connected layer around which its input is passed: x + relu(W x)."""

    def __init__(self, width: int):
        """Make the layer."""
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, width] of [B, width]."""
        return x + self.layer(x).relu()


class ResidualMLP(Torso):
    """Observations [B, ...] -> features [B, width]: a reader, a body, and a top."""

    def __init__(self, observation_space: FromRun[spaces.Space[Any]], width: int, blocks: int):
        """Make the layers; the space comes from the run, the other arguments are options."""
        reader = Flat(observation_space)  # numbers as they are, discrete values one-hot
        body = nn.Sequential(nn.Linear(reader.features, width), *(Block(width) for _ in range(blocks)))

        # The agent decides what `linear` makes: plain layers, or noisy ones.
        def make_top(linear: Any) -> nn.Module:
            return nn.Sequential(linear(width, width), nn.ReLU())

        super().__init__(reader, body, make_top, width)
