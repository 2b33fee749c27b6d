"""Convolutional torsos, for images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.observations import SMALLEST, highest_byte, is_image
from rlkit.networks.pretrained import load_pretrained
from rlkit.networks.tensors import as_floats
from rlkit.networks.torsos import Chain, MakeLinear, Torso, activation_of

CHANNEL_ORDERS = ("auto", "first", "last")


class Image(nn.Module):
    """Images as [B, C, H, W] float32 in [0, 1], in channels-last memory.

    Attributes:
        channels: C, all channels of all stacked images.
        size: H and W.
        highest: the divisor of bytes.
    """

    def __init__(self, observation_space: spaces.Space[Any], channel_order: str = "auto"):
        """Make it for images [H, W], [H, W, C] or [C, H, W] (a stack of gray ones), or a stack [S, ...] of such.

        Args:
            observation_space: of one environment.
            channel_order: where the channels are: first, last, or auto: the axis that is shortest; where it is not, a
                warning says what is taken.

        Raises:
            UsageError: it is none of these.
        """
        super().__init__()
        shape = observation_space.shape or ()
        self.highest = highest_byte(observation_space)
        self._bare = len(shape) == 2
        shape = (1, *shape) if self._bare else shape
        self._stacked = len(shape) == 4
        self._channels_last = channels_last(shape, channel_order)
        self.size = (shape[-3], shape[-2]) if self._channels_last else (shape[-2], shape[-1])
        self.channels = (shape[-1] if self._channels_last else shape[-3]) * (shape[0] if self._stacked else 1)

    def forward(self, observation: Tensor) -> Tensor:
        """Return images [B, ...] uint8 as [B, C, H, W] float32 in [0, 1]."""
        if self._bare:
            observation = observation.unsqueeze(-3)
        if self._channels_last:
            observation = observation.movedim(-1, -3)
        if self._stacked:
            observation = observation.flatten(1, 2)
        # Reordered while it is bytes: a quarter of the memory of floats.
        return as_floats(_channels_last(observation), self.highest)


def _channels_last(images: Tensor) -> Tensor:
    """Return images [B, C, H, W] in channels-last memory."""
    if images.is_contiguous(memory_format=torch.channels_last):
        return images
    # Takes half the time of `contiguous(memory_format=torch.channels_last)`.
    return torch.stack(images.unbind(1), -1).movedim(-1, 1)


class CNN(Torso):
    """A torso of convolutions, and a fully connected layer with ReLU on top."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        name: str,
        convolutions: Callable[[int], nn.Sequential],
        smallest: int,
        hidden: int,
        channel_order: str,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment.
            name: of the YAML file, for messages.
            convolutions: makes the convolutions for a number of input channels.
            smallest: the least height and width, for messages.
            hidden: width of the fully connected layer.
            channel_order: as in `Image`.

        Raises:
            UsageError: the observations are not images, or too small.
        """
        image, body, width = convolved(observation_space, name, convolutions, smallest, channel_order)
        super().__init__(image, body, lambda linear: Chain(linear(width, hidden), nn.ReLU()), hidden)


def convolved(
    observation_space: spaces.Space[Any],
    name: str,
    convolutions: Callable[[int], nn.Sequential],
    smallest: int,
    channel_order: str,
) -> tuple[Image, Chain, int]:
    """Return a reader of images, convolutions whose output is flattened, and its width; arguments as in `CNN`.

    Raises:
        UsageError: the observations are not images, or too small.
    """
    if not is_image(observation_space):
        raise UsageError(f"network={name} needs images, not {observation_space}; use network=mlp")
    image = Image(observation_space, channel_order)
    body = Chain(*convolutions(image.channels), nn.Flatten()).eval()
    try:
        with torch.no_grad():
            width = body(image(torch.zeros(1, *(observation_space.shape or ()), dtype=torch.uint8))).shape[1]
    except RuntimeError as error:
        raise UsageError(
            f"network={name} needs images of at least {smallest}x{smallest}, not {observation_space.shape}; "
            f"use network={' or '.join(fitting(observation_space, channel_order))}"
        ) from error
    return image, body.train(), width


class NatureCNN(Torso):
    """The convolutional torso of Mnih et al. (2015)."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        hidden: PositiveInt,
        *,
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: ShareBelowOne = 0.0,
        channel_order: str = "auto",
        encoder: str | None = None,
        freeze: bool = False,
        fresh: bool = True,
    ):
        """Make the layers; batch normalization and dropout are for learners, which switch them off for prediction.

        Args:
            observation_space: of one environment, or of a learner's images.
            hidden: width of the fully connected layer.
            activation: one of `ACTIVATIONS`.
            batch_norm: normalize each channel over the batch before its activation (Ioffe & Szegedy, 2015).
            dropout: share of the activations before and after the fully connected layer that are dropped in training.
            channel_order: as in `Image`.
            encoder: as in `load_pretrained`.
            freeze: as in `load_pretrained`.
            fresh: as in `load_pretrained`.

        Raises:
            UsageError: the observations are not images, or smaller than 36x36; an unknown activation; or an error
                of `load_pretrained`.
        """
        active = activation_of(activation)
        make = partial(_nature, activation=active, batch_norm=batch_norm)
        image, body, width = convolved(observation_space, "nature", make, SMALLEST["nature"], channel_order)
        body.extend([nn.Dropout(dropout)] if dropout else [])

        def make_top(linear: MakeLinear) -> nn.Module:
            return Chain(linear(width, hidden), active(), *([nn.Dropout(dropout)] if dropout else []))

        super().__init__(image, body, make_top, hidden)
        load_pretrained(self, encoder, freeze=freeze, fresh=fresh)


class SmallCNN(CNN):
    """The convolutional torso of Mnih et al. (2013): about a third of the work of `NatureCNN`."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        hidden: PositiveInt,
        *,
        channel_order: str = "auto",
        encoder: str | None = None,
        freeze: bool = False,
        fresh: bool = True,
    ):
        """Make the layers; `hidden` is the width of the fully connected one.

        `channel_order` is as in `Image`, the rest as in `load_pretrained`.

        Raises:
            UsageError: the observations are not images, or smaller than 20x20, or an error of `load_pretrained`.
        """
        super().__init__(observation_space, "small", _small, SMALLEST["small"], hidden, channel_order)
        load_pretrained(self, encoder, freeze=freeze, fresh=fresh)


class StridedCNN(Torso):
    """A convolutional torso whose every layer is set."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        channels: Sequence[PositiveInt],
        kernel_sizes: Sequence[PositiveInt],
        strides: Sequence[PositiveInt],
        hidden: PositiveInt,
        activation: str,
        channel_order: str = "auto",
    ):
        """Make the layers.

        Args:
            observation_space: of one environment.
            channels: of the output of each convolution.
            kernel_sizes: side of the square kernel of each.
            strides: of each.
            hidden: width of the fully connected layer.
            activation: one of `ACTIVATIONS`, after every layer.
            channel_order: as in `Image`.

        Raises:
            UsageError: the lists are not equally long, an unknown activation, or observations that are not images or
                are too small.
        """
        if not 0 < len(channels) == len(kernel_sizes) == len(strides):
            raise UsageError(
                f"network.channels are {len(channels)}, kernel_sizes {len(kernel_sizes)} and strides {len(strides)}; "
                "give each layer one of each"
            )
        active = activation_of(activation)

        def convolutions(inputs: int) -> nn.Sequential:
            shapes = zip(pairwise([inputs, *channels]), kernel_sizes, strides, strict=True)
            layers = ((nn.Conv2d(*pair, kernel_size, stride), active()) for pair, kernel_size, stride in shapes)
            return Chain(*(part for layer in layers for part in layer))

        image, body, width = convolved(
            observation_space, "strided", convolutions, _least(kernel_sizes, strides), channel_order
        )
        super().__init__(image, body, lambda linear: Chain(linear(width, hidden), active()), hidden)


def _least(kernel_sizes: Sequence[int], strides: Sequence[int]) -> int:
    """Return the least height and width from which the convolutions leave one pixel."""
    least = 1
    for kernel_size, stride in zip(reversed(kernel_sizes), reversed(strides), strict=True):
        least = (least - 1) * stride + kernel_size
    return least


class ImpalaCNN(CNN):
    """The residual torso of IMPALA (Espeholt et al., 2018), 15 convolutions deep with three `depths`."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        depths: Sequence[PositiveInt],
        blocks: PositiveInt,
        hidden: PositiveInt,
        *,
        channel_order: str = "auto",
        encoder: str | None = None,
        freeze: bool = False,
        fresh: bool = True,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment.
            depths: channels of each section, which halves height and width.
            blocks: residual blocks in a section.
            hidden: width of the fully connected layer.
            channel_order: as in `Image`.
            encoder: as in `load_pretrained`.
            freeze: as in `load_pretrained`.
            fresh: as in `load_pretrained`.

        Raises:
            UsageError: the observations are not images, or an error of `load_pretrained`.
        """

        def convolutions(channels: int) -> nn.Sequential:
            sections = [_section(*pair, blocks) for pair in pairwise([channels, *depths])]
            return Chain(*sections, nn.ReLU())

        super().__init__(observation_space, "impala", convolutions, SMALLEST["impala"], hidden, channel_order)
        load_pretrained(self, encoder, freeze=freeze, fresh=fresh)


class Residual(nn.Sequential):
    """Layers whose output is added to their input (He et al., 2016).

    The last layer starts at zero, so that a deep torso begins as a shallow one and needs no normalization (Zhang,
    Dauphin & Ma, 2019).
    """

    def __init__(self, *layers: nn.Module):
        """Chain the layers, of which the last is a convolution or a fully connected one."""
        super().__init__(*layers)
        for parameter in self[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`, [B, ...]."""
        changed: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + changed


def _nature(channels: int, activation: Callable[..., nn.Module], batch_norm: bool) -> nn.Sequential:
    shapes = ((channels, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1))
    layers: list[nn.Module] = []
    for before, after, side, stride in shapes:
        layers.append(nn.Conv2d(before, after, side, stride=stride))
        layers += [nn.BatchNorm2d(after)] if batch_norm else []
        # Squashing functions have no variant that writes into its input.
        layers.append(activation(inplace=True) if activation in (nn.ReLU, nn.ELU) else activation())
    return Chain(*layers)


def _small(channels: int) -> nn.Sequential:
    return Chain(
        nn.Conv2d(channels, 16, 8, stride=4),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 4, stride=2),
        nn.ReLU(inplace=True),
    )


def _section(channels: int, depth: int, blocks: int) -> nn.Module:
    def convolution() -> nn.Module:
        return nn.Conv2d(depth, depth, 3, padding=1)

    residuals = [Residual(nn.ReLU(), convolution(), nn.ReLU(), convolution()) for _ in range(blocks)]
    return Chain(nn.Conv2d(channels, depth, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1), *residuals)


def channels_last(shape: Sequence[int], channel_order: str = "auto") -> bool:
    """Return whether images of this shape are [..., H, W, C], not [..., C, H, W], as `channel_order` says.

    If that is ``auto``, channels are the shorter axis; where this is not the shortest of all, a warning says so.

    Raises:
        UsageError: it is none of `CHANNEL_ORDERS`.
    """
    if channel_order not in CHANNEL_ORDERS:
        raise UsageError(f"network.channel_order is {channel_order!r}; it must be one of {', '.join(CHANNEL_ORDERS)}")
    if channel_order != "auto":
        return channel_order == "last"
    shorter, longer = sorted((shape[-1], shape[-3]))
    last = shape[-1] == shorter
    if not shorter < min(longer, shape[-2]) and longer > 1:
        warnings.warn(
            f"images of shape {list(shape)} do not say which axis is that of the channels; the "
            f"{'last' if last else 'first'} is taken: set network.channel_order=first or last",
            stacklevel=2,
        )
    return last


def fitting(observation_space: spaces.Space[Any], channel_order: str) -> list[str]:
    """Return the names of the networks for images of this size, the one that shrinks them most first."""
    side = min(Image(observation_space, channel_order).size)
    return [name for name, smallest in SMALLEST.items() if side >= smallest]
