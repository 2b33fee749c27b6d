"""What observations are: images, boards, and what bytes are divided by."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

SMALLEST = {"nature": 36, "small": 20, "impala": 1}
"""Height and width that a network for images needs, by the name of its YAML."""

LARGEST = 19
"""Rows or columns of a board: Go's. What is larger is taken for something else."""


def highest_byte(observation_space: spaces.Space[Any]) -> float:
    """Return what bytes of a space are divided by: the largest that it has, 255 for pixels; 1 where there are none."""
    bytes_ = isinstance(observation_space, spaces.Box) and observation_space.dtype == np.uint8
    return float(max(1, observation_space.high.max())) if bytes_ else 1.0  # type: ignore[attr-defined]


def is_board(observation_space: spaces.Space[Any]) -> bool:
    """Return whether observations are planes of a board: three axes, the last two of at most `LARGEST`, and no pixels.

    Bytes are pixels where they go beyond 1.
    """
    shape = observation_space.shape or ()
    if not isinstance(observation_space, spaces.Box) or len(shape) != 3 or max(shape[1:]) > LARGEST:
        return False
    return observation_space.dtype != np.uint8 or highest_byte(observation_space) == 1


def is_image(observation_space: spaces.Space[Any]) -> bool:
    """Return whether observations are images: bytes of three axes (no board), a stack of such, or two long axes."""
    shape = observation_space.shape or ()
    seen = len(shape) in (3, 4) or (len(shape) == 2 and min(shape) >= SMALLEST["small"])
    pixels = isinstance(observation_space, spaces.Box) and observation_space.dtype == np.uint8
    return pixels and seen and not is_board(observation_space)
