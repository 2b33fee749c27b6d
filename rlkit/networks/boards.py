"""A residual torso for boards (torch)."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from torch import nn

from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.convolutional import Residual
from rlkit.networks.observations import highest_byte
from rlkit.networks.torsos import Chain, Floats, Torso


class ResidualBoard(Torso):
    """Convolutions of 3x3 that keep the size of a board, in residual blocks, and a fully connected layer on top."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        filters: PositiveInt,
        blocks: NonNegativeInt,
        hidden: PositiveInt,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment: planes [C, R, C'] of numbers.
            filters: channels of each convolution.
            blocks: of two convolutions each.
            hidden: width of the fully connected layer.

        Raises:
            UsageError: the observations are not planes.
        """
        shape = observation_space.shape or ()
        if not isinstance(observation_space, spaces.Box) or len(shape) != 3:
            raise UsageError(f"network=residual needs boards [planes, rows, columns], not {observation_space}")
        convolutions = [residual_block(filters) for _ in range(blocks)]
        body = Chain(nn.Conv2d(shape[0], filters, 3, padding=1), *convolutions, nn.ReLU(), nn.Flatten())
        width = filters * shape[1] * shape[2]
        super().__init__(
            Floats(highest_byte(observation_space)),
            body,
            lambda linear: Chain(linear(width, hidden), nn.ReLU()),
            hidden,
        )


def residual_block(filters: int) -> Residual:
    """Return a block of two convolutions of 3x3 that keeps planes' number and size."""
    first, second = (nn.Conv2d(filters, filters, 3, padding=1) for _ in range(2))
    return Residual(nn.ReLU(), first, nn.ReLU(), second)
