"""Observations as contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core.spaces import as_rows, require_array
from rlkit.core.types import Array


class Contexts:
    """Observations as rows of numbers: discrete ones are one-hot, the rest is flattened.

    Attributes:
        width: D, length of a row.
        one_hot: whether rows add up to the same number, so that a column of ones would say nothing new.
    """

    def __init__(self, observation_space: Any):
        """Flatten observations of any space of arrays."""
        self._space = require_array(observation_space, agent="agent=bandit")
        self.one_hot = isinstance(observation_space, spaces.Discrete | spaces.MultiDiscrete)
        self.width = as_rows(np.zeros((1, *observation_space.shape), np.int64), observation_space).shape[1]

    def __call__(self, observation: Array) -> Array:
        """Return [N, D] float64 of observations [N, ...]."""
        return as_rows(observation, self._space, np.float64)
