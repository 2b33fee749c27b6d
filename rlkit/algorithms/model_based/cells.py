"""Cells: observations that count as the same place."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from PIL import Image

from rlkit.core import tree
from rlkit.core.ranges import PositiveFloat, PositiveInt
from rlkit.core.types import Array, FromRun, Tree


class CellNames(Protocol):
    """Names the place where an observation was made."""

    def __call__(self, observation: Tree) -> bytes:
        """Return the name of the cell of one observation [...]; equal names are the same place."""


class Downscaled:
    """The newest frame of an image, gray, made small by the means of areas, in few levels (Ecoffet et al., 2021)."""

    def __init__(self, height: PositiveInt, width: PositiveInt, levels: PositiveInt):
        """Make images `height` times `width`, with as many `levels` of gray."""
        self._size, self._levels = (width, height), levels

    def __call__(self, observation: Tree) -> bytes:
        """Return the small image's bytes for one [H, W], [H, W, C] or [S, H, W] uint8."""
        small = Image.fromarray(newest(np.asarray(observation))).resize(self._size, Image.Resampling.BOX)
        return (np.asarray(small, np.int64) * self._levels // 256).astype(np.uint8).tobytes()


def newest(image: Array) -> Array:
    """Return one frame [H, W] uint8 of an image: the last of a stack, or the mean of three colors."""
    if image.ndim == 2:
        return image
    frames = np.moveaxis(image, int(np.argmin(image.shape)), 0)
    return frames.mean(0).astype(np.uint8) if len(frames) == 3 else np.ascontiguousarray(frames[-1])


class Rounded:
    """Numbers to the nearest multiple of a step; discrete ones as they are."""

    def __init__(self, step: PositiveFloat):
        """Round to multiples of `step`."""
        self._step = step

    def __call__(self, observation: Tree) -> bytes:
        """Return the bytes of the rounded leaves of an observation [...]."""
        return b"".join(self._rounded(np.asarray(leaf)).tobytes() for leaf in tree.leaves(observation))

    def _rounded(self, leaf: Array) -> Array:
        return np.round(leaf / self._step).astype(np.int64) if leaf.dtype.kind == "f" else leaf


def cells(
    observation_space: FromRun[spaces.Space[Any]],
    *,
    height: PositiveInt,
    width: PositiveInt,
    levels: PositiveInt,
    step: PositiveFloat,
) -> CellNames:
    """Return those that fit: `Downscaled` for images of bytes, else `Rounded`.

    Args:
        observation_space: of one environment.
        height: of small images.
        width: of small images.
        levels: of gray.
        step: to whose multiples other numbers are rounded.
    """
    space = observation_space
    image = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)
    return Downscaled(height, width, levels) if image else Rounded(step)
