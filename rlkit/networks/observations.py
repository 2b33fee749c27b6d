"""Kinds of observations (images, boards), and the scale of their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

SMALLEST = {"nature": 36, "small": 20, "impala": 1}
"""Least height and width of a network for images, by the name of its YAML file."""

LARGEST = 19
"""Most rows or columns of a board, those of Go."""


def highest_byte(observation_space: spaces.Space[Any]) -> float:
    """Return the divisor of a space's bytes: its largest value, which is 255 for pixels; 1 for other dtypes."""
    bytes_ = isinstance(observation_space, spaces.Box) and observation_space.dtype == np.uint8
    return float(max(1, observation_space.high.max())) if bytes_ else 1.0  # type: ignore[attr-defined]


def is_board(observation_space: spaces.Space[Any]) -> bool:
    """Return whether observations are planes of a board: three axes, the last two of at most `LARGEST`, and not pixels.

    Bytes are pixels if they can be more than 1.
    """
    shape = observation_space.shape or ()
    if not isinstance(observation_space, spaces.Box) or len(shape) != 3 or max(shape[1:]) > LARGEST:
        return False
    return observation_space.dtype != np.uint8 or highest_byte(observation_space) == 1


def is_image(observation_space: spaces.Space[Any]) -> bool:
    """Return whether observations are images: bytes of three axes (not a board), a stack of such, or two long axes."""
    shape = observation_space.shape or ()
    fits = len(shape) in (3, 4) or (len(shape) == 2 and min(shape) >= SMALLEST["small"])
    pixels = isinstance(observation_space, spaces.Box) and observation_space.dtype == np.uint8
    return pixels and fits and not is_board(observation_space)
