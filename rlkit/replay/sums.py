"""A tree of sums over priorities, for drawing in proportion to them (Schaul et al., 2016, appendix B.2.1)."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array

WIDTH = 16
"""Children of a node: a wide tree needs few passes, each of them one operation on the whole batch."""


MANY = 256
"""Places that are set at once, from which on each node is summed but once."""


class SumTree:
    """Non-negative numbers at places 0 … size - 1, the sum of each block of them, and so on up.

    A node's sum is always added up from its children, never adjusted by a difference, so it depends on nothing but the
    numbers there are: no drift, and a tree built again from them is the same to the last bit.
    """

    def __init__(self, size: int):
        """Start with zeros."""
        self._levels = [np.zeros((-(-size // WIDTH), WIDTH))]
        while len(self._levels[-1]) > 1:
            nodes = len(self._levels[-1])
            self._levels.append(np.zeros((-(-nodes // WIDTH), WIDTH)))

    def copied(self) -> SumTree:
        """Return a tree of its own with the same numbers."""
        other = SumTree(0)
        other._levels = [level.copy() for level in self._levels]
        return other

    @property
    def total(self) -> float:
        """The sum of all numbers."""
        return float(self._levels[-1].sum())

    def __getitem__(self, places: Array) -> Array:
        """Return the numbers at `places`."""
        return self._levels[0].reshape(-1)[places]

    def __setitem__(self, places: Array, values: Array | float) -> None:
        """Set the numbers at `places`; of equal places the last counts."""
        self._levels[0].reshape(-1)[places] = values
        nodes = np.asarray(places)
        for below, above in zip(self._levels, self._levels[1:], strict=False):
            # Few nodes are summed twice faster than they are sorted.
            nodes = nodes // WIDTH if nodes.size < MANY else np.unique(nodes // WIDTH)
            above.reshape(-1)[nodes] = below.take(nodes, axis=0).sum(axis=1)

    def find(self, mass: Array) -> Array:
        """Return for each of `mass` [B], in [0, total), the place at which the running sum passes it, [B] int64."""
        mass, node = np.asarray(mass), np.zeros(len(mass), np.int64)
        rows = np.arange(len(node)) * WIDTH
        for level in reversed(self._levels):
            children = level.take(node, axis=0)
            sums = children.cumsum(axis=1)
            # Rounding may leave a mass at the very end: then it is the last child that has any.
            mass = np.minimum(mass, np.nextafter(sums[:, -1], 0.0))
            child = (sums > mass[:, None]).argmax(axis=1)
            at = rows + child
            mass = np.maximum(mass - (sums.take(at) - children.take(at)), 0.0)
            node = node * WIDTH + child
        return node
