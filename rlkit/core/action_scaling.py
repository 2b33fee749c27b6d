"""Actions of a `Box` as numbers in [-1, 1], and back."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from rlkit.core.spaces import box_actions
from rlkit.core.types import Array, UsageError


def free_numbers(space: spaces.Box) -> Array:
    """Return which numbers of an action are a choice: [D] bool, False where the bounds are equal."""
    return np.asarray(space.low.ravel() < space.high.ravel())


class ActionScaling:
    """The free numbers of an action, each scaled to [-1, 1]; a locked one, whose bounds are equal, is none of them.

    Attributes:
        width: D', how many are free.
        space: of the actions.
        free: [D] bool, which are free.
        middle: [D] float64, between the bounds of each number.
        half: [D'] float64, from there to the bounds of the free ones.
    """

    def __init__(self, space: spaces.Box, limit: float | None):
        """Scale the actions of `space`.

        Args:
            space: of one environment's actions.
            limit: what stands for an infinite bound, with its sign; None: there must be none.

        Raises:
            UsageError: a bound is infinite and there is no limit, a limit leaves no room, or no number is free.
        """
        self.space = space
        low, high = (bound.ravel().astype(np.float64) for bound in (space.low, space.high))
        if np.isinf([low, high]).any():
            if limit is None:
                raise UsageError(
                    f"the agent needs actions between two finite bounds, not {space}; set agent.action_limit to the "
                    "largest number that is ever needed"
                )
            low, high = np.where(np.isinf(low), -limit, low), np.where(np.isinf(high), limit, high)
            if (low > high).any():
                raise UsageError(f"agent.action_limit is {limit:g}; it must be beyond the finite bounds of {space}")
        self.free = low < high
        self.width = int(self.free.sum())
        if self.width == 0:
            raise UsageError(f"actions of {space} leave no choice, so that there is nothing to learn; use agent=random")
        self.middle = low / 2 + high / 2
        self.half = (high / 2 - low / 2)[self.free]
        self._all_free = bool(self.free.all())

    def to_environment(self, numbers: Array) -> Array:
        """Return numbers in [-1, 1], [N, D'], as actions [N, ...] of the space, in its dtype; integers are rounded."""
        if self._all_free:
            return box_actions(self.space, self.middle + self.half * numbers)
        inside = np.tile(self.middle, (len(numbers), 1))
        inside[:, self.free] += self.half * numbers
        return box_actions(self.space, inside)

    def to_unit(self, actions: Array) -> Array:
        """Return actions [N, ...] of the space as numbers in [-1, 1], [N, D'] float32."""
        numbers = actions.reshape(len(actions), -1) - self.middle
        free = numbers if self._all_free else numbers[:, self.free]
        return np.clip(free / self.half, -1, 1).astype(np.float32)
