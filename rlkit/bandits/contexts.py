"""Observations as contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import Array


class Contexts:
    """Observations as rows of numbers: discrete ones are one-hot, the rest is flattened.

    Attributes:
        width: D, length of a row.
        one_hot: whether rows add up to the same number, so that a column of ones would say nothing new.
    """

    def __init__(self, observation_space: Any):
        """Take any space of arrays."""
        if isinstance(observation_space, spaces.Discrete):
            self._sizes: Array | None = np.array([observation_space.n])
        elif isinstance(observation_space, spaces.MultiDiscrete):
            self._sizes = observation_space.nvec.ravel()
        else:
            self._sizes = None
        self.one_hot = self._sizes is not None
        self.width = int(np.prod(observation_space.shape) if self._sizes is None else self._sizes.sum())

    def __call__(self, observation: Array) -> Array:
        """Return [N, D] float64 of observations [N, ...]."""
        rows = observation.reshape(len(observation), -1)
        if self._sizes is None:
            return rows.astype(np.float64)
        context = np.zeros((len(rows), self.width))
        starts = np.cumsum(self._sizes) - self._sizes
        context[np.arange(len(rows))[:, None], starts + rows] = 1
        return context
