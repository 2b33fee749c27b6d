"""A residual torso for boards (torch)."""

from __future__ import annotations

from collections.abc import Callable
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
        layer_norm: bool = False,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment: planes [C, R, C'] of numbers.
            filters: channels of each convolution.
            blocks: of two convolutions each.
            hidden: width of the fully connected layer.
            layer_norm: normalization before every activation, of all channels and pixels together.

        Raises:
            UsageError: the observations are not planes.
        """
        shape = observation_space.shape or ()
        if not isinstance(observation_space, spaces.Box) or len(shape) != 3:
            raise UsageError(f"network=residual needs boards [planes, rows, columns], not {observation_space}")
        norm = _layer_norm if layer_norm else _nothing
        convolutions = [residual_block(filters, norm) for _ in range(blocks)]
        first = nn.Conv2d(shape[0], filters, 3, padding=1)
        body = Chain(first, *convolutions, *norm(filters), nn.ReLU(), nn.Flatten())
        width = filters * shape[1] * shape[2]
        super().__init__(
            Floats(highest_byte(observation_space)),
            body,
            lambda linear: Chain(linear(width, hidden), *norm(hidden), nn.ReLU()),
            hidden,
        )


def _layer_norm(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(1, channels)]


def _nothing(channels: int) -> list[nn.Module]:
    return []


def residual_block(filters: int, norm: Callable[[int], list[nn.Module]] = _nothing) -> Residual:
    """Return a block of two convolutions of 3x3 that keeps planes' number and size, each after `norm` and a ReLU."""
    first, second = (nn.Conv2d(filters, filters, 3, padding=1) for _ in range(2))
    return Residual(*norm(filters), nn.ReLU(), first, *norm(filters), nn.ReLU(), second)
