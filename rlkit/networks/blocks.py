"""A torso of blocks of convolutions, for images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

from gymnasium import spaces
from torch import nn

from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.convolutional import convolved
from rlkit.networks.pretrained import load_pretrained
from rlkit.networks.torsos import Chain, MakeLinear, Torso, activation_of

T = TypeVar("T", str, float)


class BlockCNN(Torso):
    """Blocks of 3x3 convolutions, each with its activation, and a max-pooling that halves height and width.

    After Simonyan & Zisserman (2015), with batch normalization between a convolution and its activation and dropout at
    the end of each block as options. These two are for learners, which have separate modes for training and prediction.
    """

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        channels: Sequence[Sequence[PositiveInt]] = ((32, 32),),
        hidden: PositiveInt | None = 64,
        *,
        activation: str = "relu",
        padding: str | Sequence[str] = "same",
        batch_norm: bool = False,
        dropout: ShareBelowOne | Sequence[ShareBelowOne] = 0.0,
        hidden_dropout: ShareBelowOne = 0.0,
        channel_order: str = "auto",
        encoder: str | None = None,
        freeze: bool = False,
        fresh: bool = True,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment, or of a learner's images.
            channels: of the convolutions of each block.
            hidden: width of the fully connected layer on top; None: no such layer.
            activation: one of `ACTIVATIONS`.
            padding: same, which keeps height and width, or valid, which shrinks them by two; or a list, one per block.
            batch_norm: normalize each channel over the batch (Ioffe & Szegedy, 2015).
            dropout: share of activations dropped in training after each pooling; or a list, one per block.
            hidden_dropout: the same for the fully connected layer.
            channel_order: as in `rlkit.networks.Image`.
            encoder: as in `load_pretrained`.
            freeze: as in `load_pretrained`.
            fresh: as in `load_pretrained`.

        Raises:
            UsageError: the observations are not images, or too small for convolutions without padding; an unknown
                activation or padding; lists of another length than `channels`; or an error of `load_pretrained`.
        """
        active = activation_of(activation)
        paddings, dropouts = _each("padding", padding, channels), _each("dropout", dropout, channels)
        if not set(paddings) <= {"same", "valid"}:
            raise UsageError(f"network.padding is {padding!r}; each must be same or valid")

        def convolutions(depth: int) -> nn.Sequential:
            depths = [depth, *(block[-1] for block in channels)]
            return Chain(
                *(
                    layer
                    for before, block, pad, share in zip(depths[:-1], channels, paddings, dropouts, strict=True)
                    for layer in _block([before, *block], active, pad, batch_norm, share)
                )
            )

        smallest = _smallest(channels, paddings)
        image, body, width = convolved(observation_space, "blocks", convolutions, smallest, channel_order)

        def make_top(linear: MakeLinear) -> nn.Module:
            if hidden is None:
                return nn.Identity()
            return Chain(linear(width, hidden), active(), *_dropout(hidden_dropout))

        super().__init__(image, body, make_top, hidden or width)
        load_pretrained(self, encoder, freeze=freeze, fresh=fresh)


def _block(
    depths: Sequence[int], active: type[nn.Module], padding: str, batch_norm: bool, dropout: float
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(depths):
        # A bias before batch normalization has no effect; it stays, so that the number of parameters is as published.
        layers.append(nn.Conv2d(before, after, 3, padding=padding))
        layers += [nn.BatchNorm2d(after)] if batch_norm else []
        layers.append(active())
    # Rounded up, so that a side of 1 stays.
    return [*layers, nn.MaxPool2d(2, ceil_mode=True), *_dropout(dropout)]


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def _each(name: str, value: T | Sequence[T], channels: Sequence[Any]) -> Sequence[T]:
    """Return a value for each block."""
    if isinstance(value, (str, int, float)):
        return [value] * len(channels)
    if len(value) != len(channels):
        raise UsageError(f"network.{name} has {len(value)} values for {len(channels)} blocks; give one, or one each")
    return value


def _smallest(channels: Sequence[Sequence[int]], paddings: Sequence[str]) -> int:
    """Return the least height and width of images."""
    side = 1
    for block, padding in zip(reversed(channels), reversed(paddings), strict=True):
        pooled = 2 * side - 1
        side = pooled + 2 * len(block) * (padding == "valid")
    return side
