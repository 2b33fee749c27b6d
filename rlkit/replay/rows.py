"""The rows of a replay: the frames, action, reward and successor of each transition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rlkit.core.types import Array

NONE = -1

FIELDS = ("action", "reward", "discount", "next_legal_actions")
"""The fields of a transition that its row stores unchanged."""

PENDING_COLUMNS = ("action", "reward", "discount", "last", "next_legal_actions")
"""The columns of rows that were added but not entered yet.

They are stored as bytes, column by column: for the few values of a call, that takes a fraction of NumPy's time.
"""

LAST = PENDING_COLUMNS.index("last")

Earned = Callable[[Array], tuple[Array, Array]]
"""Returns reward and discount, float32 [B], of the steps in slots [B]."""

Layout = list[tuple[str, np.dtype[Any], tuple[int, ...]]]
"""Name, dtype and shape, without the first axis, of columns."""


def layout(values: Mapping[str, Array]) -> Layout:
    """Return the layout of the pending columns among `values` [K, ...]."""
    return [(name, values[name].dtype, values[name].shape[1:]) for name in PENDING_COLUMNS if name in values]


NO_ROWS = (b"",) * 5
"""What is in each pending column at first."""


def columns(contents: tuple[bytearray, ...], known: Layout) -> dict[str, Array]:
    """Return the pending columns [K, ...] in `contents` by name."""
    made = {}
    for (name, dtype, shape), content in zip(known, contents, strict=False):
        made[name] = np.frombuffer(content, dtype).reshape(-1, *shape)
    return made


class TransitionRing:
    """A ring of `capacity` transitions; number i is in slot i % capacity.

    Besides `FIELDS` a row has

    - ``window`` [S + 1] int32: the places of its frames: S of the observation, newest last, and the successor's newest;
    - ``oldest`` int64: the number of the oldest of them: once that frame is overwritten, the row is dropped;
    - ``env`` int32, and ``follows`` bool: whether it continues the previous row of the same environment;
    - ``successor`` int32: the slot of the row that follows it, or `NONE`.

    Attributes:
        arrays: the columns by name, [capacity, ...].
        total: number of rows ever added.
    """

    def __init__(self, capacity: int):
        """Make a ring of `capacity` rows; memory is allocated by the first `add`."""
        self.capacity = capacity
        self.total = 0
        self.arrays: dict[str, Array] = {}

    def add(self, columns: dict[str, Array]) -> Array:
        """Store rows [K, ...], K at most the capacity, and return their slots [K] int64."""
        if not self.arrays:
            self._allocate(columns)
        start, count = self.total % self.capacity, len(columns["env"])
        first = min(count, self.capacity - start)
        for name, values in columns.items():
            array = self.arrays[name]
            array[start : start + first] = values[:first]
            array[: count - first] = values[first:]
        self.arrays["successor"][start : start + first] = self.arrays["successor"][: count - first] = NONE
        self.total += count
        return (start + np.arange(count)) % self.capacity

    def copied(self) -> TransitionRing:
        """Return a copy."""
        other = TransitionRing(self.capacity)
        other.total = self.total
        other.arrays = {name: array.copy() for name, array in self.arrays.items()}
        return other

    def link(self, before: Array, after: Array) -> None:
        """Make rows number `after` [K] the successors of rows number `before` [K], if these are still stored."""
        stored = before >= self.total - self.capacity
        self.arrays["successor"][before[stored] % self.capacity] = after[stored] % self.capacity

    def relink(self, first: int) -> None:
        """Recompute the successor of each row from number `first` on."""
        numbers = np.arange(first, self.total)
        env, follows = (self.arrays[name][numbers % self.capacity] for name in ("env", "follows"))
        for one in np.unique(env):
            mine = numbers[env == one]
            linked = follows[env == one][1:]
            self.link(mine[:-1][linked], mine[1:][linked])

    def take(self, name: str, slots: Array) -> Any:
        """Return the column `name` [*slots.shape, ...] at `slots`, or None if rows do not have it."""
        return self.arrays[name].take(slots, axis=0) if name in self.arrays else None

    def walk(self, slots: Array, steps: int, gamma: float, earned: Earned | None = None) -> tuple[Array, Array, Array]:
        """Return (reward, discount, end) of up to `steps` steps from each of `slots` [B], each [B].

        `earned` returns new arrays of what the steps in slots [B] earn; None: what is stored.

        ``reward`` is the sum of gamma-discounted rewards, ``end`` the slot of the last step, and ``discount`` such that
        ``reward + gamma * discount * value(successor of end)`` is the n-step target (Sutton & Barto, eq. 7.1). A walk
        ends early at the end of an episode and at the newest row.
        """
        end = slots
        if earned is None:
            reward, discount = self.take("reward", slots), self.take("discount", slots)
        else:
            reward, discount = earned(slots)
        for _ in range(steps - 1):
            following = self.arrays["successor"][end]
            on = following != NONE
            if not on.any():
                break
            end = np.where(on, following, end)
            factor = np.where(on, np.float32(gamma) * discount, np.float32(0))
            if earned is None:
                step_reward, step_discount = self.arrays["reward"][end], self.arrays["discount"][end]
            else:
                step_reward, step_discount = earned(end)
            reward += factor * step_reward
            discount = np.where(on, factor * step_discount, discount)
        return reward, discount, end

    def first_with(self, oldest: int, first: int, block: int) -> int:
        """Return the number of the first row, from `first` on, that has, as all later ones, no frame before `oldest`.

        Rows are in the order of their frames, except those of environments that began again: these are within `block`.
        """
        while first < self.total:
            numbers = np.arange(first, min(first + block, self.total))
            gone = np.flatnonzero(self.arrays["oldest"][numbers % self.capacity] < oldest)
            if not len(gone):
                break
            first = int(numbers[gone[-1]]) + 1
        return first

    def _allocate(self, columns: dict[str, Array]) -> None:
        self.arrays = {
            name: np.empty((self.capacity, *values.shape[1:]), values.dtype) for name, values in columns.items()
        }
        self.arrays["successor"] = np.empty(self.capacity, np.int32)
