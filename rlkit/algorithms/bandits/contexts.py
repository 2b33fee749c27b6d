"""Observations as contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core.spaces import as_rows, row_width
from rlkit.core.types import Array, Tree


class Contexts:
    """Observations as rows of numbers: discrete ones are one-hot, the rest is flattened, parts beside each other.

    Attributes:
        width: D, length of a row.
        one_hot: whether rows add up to the same number, so that a column of ones would say nothing new.
    """

    def __init__(self, observation_space: Any):
        """Flatten observations of any space."""
        self._space = observation_space
        self.one_hot = isinstance(observation_space, spaces.Discrete | spaces.MultiDiscrete)
        self.width = row_width(observation_space)

    def __call__(self, observation: Tree) -> Array:
        """Return [N, D] float64 of observations [N, ...]."""
        return as_rows(observation, self._space, np.float64)
