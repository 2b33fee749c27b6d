"""Random shifts of images, an augmentation for learning from them (Yarats et al., 2021)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.core import tree
from rlkit.core.spaces import space_tree
from rlkit.core.types import Tree
from rlkit.networks.convolutional import channels_last
from rlkit.networks.observations import is_image


class RandomShift:
    """Moves each image by a few pixels in a direction of its own; what it uncovers repeats the edge."""

    def __init__(
        self, observation_space: spaces.Space[Any], pixels: int, generator: torch.Generator, channel_order: str = "auto"
    ):
        """Shift the images among observations by up to `pixels`, drawn from `generator`.

        `channel_order` is as in `rlkit.networks.Image`.
        """
        self._height = tree.map(partial(_height_axis, channel_order), space_tree(observation_space))
        self._pixels = pixels
        self._generator = generator

    def __call__(self, observation: Tree) -> Tree:
        """Return observations [B, ...] with shifted images; all else is as it was."""
        return tree.map_many(self._shifted, self._height, observation)

    def _shifted(self, axis: int, images: Tensor) -> Tensor:
        if axis < 0:
            return images
        rows, columns = (self._moved(len(images), images.shape[axis + i], images.device) for i in range(2))
        each = torch.arange(len(images), device=images.device)[:, None, None]
        moved = images.movedim((axis, axis + 1), (1, 2))[each, rows[:, :, None], columns[:, None, :]]
        return moved.movedim((1, 2), (axis, axis + 1))

    def _moved(self, n: int, length: int, device: torch.device) -> Tensor:
        """Return which pixels [n, length] of an axis are shown in place of all in order."""
        shift = torch.randint(-self._pixels, self._pixels + 1, (n, 1), generator=self._generator, device=device)
        return (torch.arange(length, device=device) + shift).clamp(0, length - 1)


def _height_axis(channel_order: str, space: spaces.Space[Any]) -> int:
    """Return the axis of the height in a batch of images; the width is the next. -1: they are none."""
    if not is_image(space):
        return -1
    shape = space.shape or ()
    return len(shape) - 1 - (len(shape) > 2 and channels_last(shape, channel_order))
