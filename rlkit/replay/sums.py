"""A tree of sums over priorities, for drawing in proportion to them (Schaul et al., 2016, appendix B.2.1)."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array

WIDTH = 16
"""Children of a node: a wide tree needs few passes, each one operation on the whole batch."""


MANY = 256
"""Number of places set at once from which each node is summed only once."""


class SumTree:
    """Non-negative numbers at places 0 … size - 1, the sums of blocks of them, and so on up to one node.

    A node's sum is always computed from its children, never adjusted by a difference, so it depends only on the current
    numbers: it does not drift, and a tree built again from them is equal to the last bit.
    """

    def __init__(self, size: int):
        """Start with zeros."""
        self._levels = [np.zeros((-(-size // WIDTH), WIDTH))]
        while len(self._levels[-1]) > 1:
            nodes = len(self._levels[-1])
            self._levels.append(np.zeros((-(-nodes // WIDTH), WIDTH)))

    def copied(self) -> SumTree:
        """Return a copy."""
        other = SumTree(0)
        other._levels = [level.copy() for level in self._levels]
        return other

    @property
    def total(self) -> float:
        """The sum of all numbers."""
        return float(self._levels[-1].sum())

    def __getitem__(self, places: Array) -> Array:
        """Return the numbers at `places` [B]."""
        return self._levels[0].reshape(-1)[places]

    def __setitem__(self, places: Array, values: Array | float) -> None:
        """Set the numbers at `places` [B]; of equal places the last counts."""
        self._levels[0].reshape(-1)[places] = values
        nodes = np.asarray(places)
        for below, above in zip(self._levels, self._levels[1:], strict=False):
            # Summing a few nodes twice is faster than sorting them.
            nodes = nodes // WIDTH if nodes.size < MANY else np.unique(nodes // WIDTH)
            above.reshape(-1)[nodes] = below.take(nodes, axis=0).sum(axis=1)

    def prefix_sum_index(self, mass: Array) -> Array:
        """Return for each of `mass` [B], in [0, total), the place at which the running sum passes it, [B] int64."""
        mass, node = np.asarray(mass), np.zeros(len(mass), np.int64)
        rows = np.arange(len(node)) * WIDTH
        for level in reversed(self._levels):
            children = level.take(node, axis=0)
            sums = children.cumsum(axis=1)
            # Rounding may leave a mass at the very end: then it belongs to the last child that has any.
            mass = np.minimum(mass, np.nextafter(sums[:, -1], 0.0))
            child = (sums > mass[:, None]).argmax(axis=1)
            at = rows + child
            mass = np.maximum(mass - (sums.take(at) - children.take(at)), 0.0)
            node = node * WIDTH + child
        return node
