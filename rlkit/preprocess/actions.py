"""Wrappers that change actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, UsageError


class DiscreteActions(gymnasium.ActionWrapper[Any, Any, Any]):
    """Replaces continuous actions by discrete ones: action k is row k of a table."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], actions: Sequence[Sequence[float]]):
        """Wrap `env`, whose actions are rows of numbers; `actions` [K, D] is the table.

        Raises:
            UsageError: the actions of `env` are not rows of numbers, or a row of `actions` is not in its space.
        """
        super().__init__(env)
        space = env.action_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise UsageError(f"DiscreteActions needs actions that are rows of numbers, not {space}; leave it out")
        self._table = np.array(actions, space.dtype)
        for number, row in enumerate(self._table):
            if row not in space:
                raise UsageError(f"DiscreteActions actions[{number}] is {row.tolist()}, which is not in {space}")
        self.action_space = spaces.Discrete(len(self._table))

    def action(self, action: Any) -> Array:
        """Return the row [D] of a discrete action."""
        return np.array(self._table[int(action)])

    def choice(self, action: Any) -> int:
        """Return the discrete action whose row is nearest to a row [D], such as one from the keyboard."""
        return int(np.square(self._table - np.asarray(action)).sum(axis=1).argmin())
