"""Images moved, turned and mirrored at random; what they show stays the same (torch)."""

from __future__ import annotations

from math import radians
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from rlkit.learners.estimators.settings import require


class Augmentation(NamedTuple):
    """What is drawn for each image independently."""

    shift: float = 0.0
    """Up to this share of the width to either side, and of the height up or down."""
    rotation: float = 0.0
    """Up to as many degrees to either side."""
    horizontal_flip: bool = False
    """Left and right are exchanged for every other image."""
    vertical_flip: bool = False
    """Top and bottom are."""

    def checked(self) -> Augmentation:
        """Return it.

        Raises:
            SettingError: a shift or rotation that cannot be.
        """
        require(0 <= self.shift < 1, "shift", self.shift, "at least 0 and less than 1, a share of the image")
        require(0 <= self.rotation <= 180, "rotation", self.rotation, "from 0 to 180 degrees")
        return self

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images [B, C, H, W] changed; what comes in from outside repeats the border.

        Args:
            images: floats.
            generator: on the CPU.
        """
        if self.shift or self.rotation:
            images = _moved(images, self._movements(len(images), images.shape[-2:], generator))
        for wanted, axis in ((self.horizontal_flip, 3), (self.vertical_flip, 2)):
            if wanted:
                chosen = (torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5).to(images.device)
                images = torch.where(chosen, images.flip(axis), images)
        return images

    def _movements(self, rows: int, size: torch.Size, generator: torch.Generator) -> Tensor:
        """Return matrices [B, 2, 3] from where a pixel is shown to where it is taken from, sides being -1 and 1."""
        across, down, angle = 2 * torch.rand(3, rows, generator=generator, dtype=torch.float64) - 1
        angle = angle * radians(self.rotation)
        ratio = size[0] / size[1]
        first = torch.stack((angle.cos(), -angle.sin() * ratio, 2 * self.shift * across), 1)
        second = torch.stack((angle.sin() / ratio, angle.cos(), 2 * self.shift * down), 1)
        return torch.stack((first, second), 1)


def _moved(images: Tensor, movements: Tensor) -> Tensor:
    grid = affine_grid(movements.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)
