"""Wrappers for observations that are images: gray, resized, cropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.config.messages import nearest
from rlkit.core.parts import OR_PART
from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError

INTERPOLATIONS = {"area": "INTER_AREA", "nearest": "INTER_NEAREST"}


CHANNELS = (1, 2, 3, 4)
"""Numbers of channels by which images whose first axis is that of channels are known."""

BOUNDS = 4
"""Arrays of an image's size that its space and it take: two bounds, and whether they are finite."""

RESIZED = ("uint8", "uint16", "int16", "float32", "float64")
"""What OpenCV resizes."""


class ChannelsLast(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Moves the channels of images [C, H, W] behind their rows and columns, [H, W, C], as other wrappers take them."""

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`.

        Raises:
            UsageError: its observations do not have three axes.
        """
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 3:
            raise UsageError(
                f"ChannelsLast takes images [channels, height, width], not {space}; leave it out, {OR_PART}"
            )
        low, high = self.observation(space.low), self.observation(space.high)
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)

    def observation(self, observation: Array) -> Array:
        """Return the image [H, W, C] of one [C, H, W]."""
        return np.ascontiguousarray(np.moveaxis(observation, 0, -1))


def _image_space(env: gymnasium.Env[Any, Any], wrapper: str) -> spaces.Box:
    """Return the observation space if it is one of images, [H, W] or [H, W, C].

    Raises:
        UsageError: it is not.
    """
    space = env.observation_space
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3):
        raise UsageError(
            f"{wrapper} takes images [height, width] or [height, width, channels], not {space}; "
            f"put it before FrameStack, or leave it out, {OR_PART}"
        )
    if len(space.shape) == 3 and space.shape[0] in CHANNELS and space.shape[2] not in CHANNELS:
        raise UsageError(
            f"{wrapper} takes images [height, width, channels], and {list(space.shape)} begins with the channels; put "
            "{_target_: rlkit.preprocess.ChannelsLast} before it"
        )
    return space


class Gray(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Converts color images [H, W, 3] uint8 to gray [H, W] uint8, by the luma of ITU-R BT.601."""

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`.

        Raises:
            UsageError: its observations are not color images.
        """
        super().__init__(env)
        space = _image_space(env, "Gray")
        if space.shape[2:] != (3,) or space.dtype != np.uint8:
            raise UsageError(f"Gray takes color images, [height, width, 3] uint8, not {space}; leave it out, {OR_PART}")
        import cv2

        self._convert = cv2.cvtColor
        self._code = cv2.COLOR_RGB2GRAY
        self.observation_space = spaces.Box(0, 255, space.shape[:2], np.uint8)

    def observation(self, observation: Array) -> Array:
        """Return the image in gray, [H, W] uint8."""
        return self._convert(observation, self._code)


class Resize(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Resizes images, [H, W] or [H, W, C]."""

    state_fields: tuple[str, ...] = ()

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        size: Sequence[PositiveInt],
        interpolation: Literal["area", "nearest"] = "area",
    ):
        """Wrap `env`.

        Args:
            env: the environment.
            size: height and width.
            interpolation: ``area`` averages pixels when it shrinks images, ``nearest`` drops pixels.

        Raises:
            UsageError: there is no such interpolation or size, or observations are not images.
        """
        super().__init__(env)
        space = _image_space(env, "Resize")
        if interpolation not in INTERPOLATIONS:
            raise UsageError(f"Resize has no interpolation {interpolation}{nearest(interpolation, INTERPOLATIONS)}")
        if space.dtype.name not in RESIZED:
            raise UsageError(
                f"Resize takes images of {', '.join(RESIZED)}, not {space.dtype.name}; convert them before"
            )
        if len(size) != 2 or min(size) < 1:
            raise UsageError(f"Resize takes size=[height, width], e.g. [84,84], not {list(size)}")
        area = size[0] * size[1] * math.prod(space.shape[2:])
        require_memory(
            BOUNDS * area * space.dtype.itemsize, f"an image of {size[0]:,} x {size[1]:,}", "set {size} lower"
        )
        import cv2

        self._resize = cv2.resize
        self._interpolation = getattr(cv2, INTERPOLATIONS[interpolation])
        self._shape = (int(size[0]), int(size[1]), *space.shape[2:])
        self.observation_space = spaces.Box(space.low.min(), space.high.max(), self._shape, space.dtype.type)

    def observation(self, observation: Array) -> Array:
        """Return the image, [H, W] or [H, W, C], in the new size, of the same dtype."""
        resized = self._resize(observation, self._shape[1::-1], interpolation=self._interpolation)
        # OpenCV drops the axis of a single channel.
        return np.asarray(resized).reshape(self._shape)


class Crop(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Removes rows and columns at the borders of images, [H, W] or [H, W, C]."""

    state_fields: tuple[str, ...] = ()

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        top: NonNegativeInt,
        bottom: NonNegativeInt,
        left: NonNegativeInt,
        right: NonNegativeInt,
    ):
        """Wrap `env`; `top`, `bottom`, `left` and `right` are the numbers of rows or columns to remove.

        Raises:
            UsageError: nothing would be left, a number is negative, or observations are not images.
        """
        super().__init__(env)
        space = _image_space(env, "Crop")
        height, width = space.shape[:2]
        if min(top, bottom, left, right) < 0 or top + bottom >= height or left + right >= width:
            raise UsageError(
                f"Crop top={top}, bottom={bottom}, left={left}, right={right} leaves nothing of {height}x{width}, or "
                "is negative; crop less"
            )
        self._rows, self._columns = slice(top, height - bottom), slice(left, width - right)
        low, high = self.observation(space.low), self.observation(space.high)
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)

    def observation(self, observation: Array) -> Array:
        """Return a copy of the remaining part of the image, [H, W] or [H, W, C]."""
        return observation[self._rows, self._columns].copy()
