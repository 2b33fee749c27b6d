"""Trees of observations whose leaves stack different numbers of frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, Tree


class Stacks:
    """How many frames each leaf of an observation stacks along its first axis; 1: it is no stack, and has no such axis.

    Shapes: S is the largest number, s that of a leaf. A leaf's frames lie, as those of all, in windows of S, and of
    these its own are the last s.

    Attributes:
        numbers: a tree of s.
        longest: S.
    """

    def __init__(self, numbers: Tree):
        """Use a tree of numbers."""
        self.numbers = numbers
        self.longest = max(tree.leaves(numbers))

    def newest(self, observation: Tree) -> Tree:
        """Return the newest frame [N, ...] of each leaf of observations, [N, ...] or [N, s, ...]."""
        return tree.map_many(lambda s, leaf: leaf if s == 1 else leaf[:, -1], self.numbers, observation)

    def split(self, windows: Tree) -> tuple[Tree, Tree]:
        """Return observations and successors for windows [B, S + k, ...]: they begin with the one, end with the other.

        A leaf is [B, ...] or [B, s, ...].
        """
        longest = self.longest
        return (
            tree.map_many(
                lambda s, leaf: leaf[:, longest - 1] if s == 1 else leaf[:, longest - s : longest],
                self.numbers,
                windows,
            ),
            tree.map_many(lambda s, leaf: leaf[:, -1] if s == 1 else leaf[:, -s:], self.numbers, windows),
        )

    def own(self, windows: Tree) -> Tree:
        """Return the frames [K, s, ...] of windows [K, S, ...] that belong to an observation."""
        return tree.map_many(lambda s, leaf: leaf[:, self.longest - s :], self.numbers, windows)

    def filled(self, observation: Tree) -> Tree:
        """Return one observation, its leaves [...] or [s, ...], as a window [S, ...], the oldest frames repeated."""
        return tree.map_many(self._filled, self.numbers, observation)

    def _filled(self, s: int, leaf: Any) -> Array:
        frames = np.asarray(leaf)[None] if s == 1 else leaf
        return np.asarray(frames[np.maximum(np.arange(self.longest) - (self.longest - s), 0)])
