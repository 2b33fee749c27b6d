"""Wrappers for observations that are rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.parts import OR_PART
from rlkit.core.ranges import NonNegativeInt
from rlkit.core.types import Array, UsageError


class Keep(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Keeps only some numbers of an observation, e.g. to hide velocities."""

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any], indices: Sequence[NonNegativeInt]):
        """Wrap `env`, whose observations are rows of numbers; `indices` are those that are kept, in this order.

        Raises:
            UsageError: the observations are not rows of numbers, or too short.
        """
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise UsageError(
                f"Keep needs observations that are rows of numbers, not {space}; leave it out of preprocess=, {OR_PART}"
            )
        if not indices or not all(0 <= index < len(space.low) for index in indices):
            raise UsageError(f"Keep indices are {list(indices)}; they must be from 0 to {len(space.low) - 1}")
        self._indices = np.array(indices)
        dtype: Any = space.dtype
        self.observation_space = spaces.Box(space.low[self._indices], space.high[self._indices], dtype=dtype)

    def observation(self, observation: Any) -> Array:
        """Return the numbers that are kept, [len(indices)] of the same dtype."""
        return np.asarray(observation[self._indices])
