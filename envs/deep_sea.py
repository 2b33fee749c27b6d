"""Deep sea (Osband et al., 2020): a reward that only one of 2^N ways reaches, for agents that explore deeply."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import Array
from rlkit.envs.grids import AGENT, GOAL, START, Board, lines
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, require_room
from rlkit.runs.plots.grid_map import Layout, Panel

COST = 0.01
"""What the way to the chest costs in all."""


class DeepSea(TabularEnv):
    """A grid of N rows and columns; a diver sinks by a row at each step, to the left or to the right, for N steps.

    State ``N * row + column``; which of the two actions leads to the right is drawn for each state. A step to the right
    costs ``.01 / N``, and to the right of the last column of the last row is a chest, of 1: the best return is .99, any
    other way to the bottom earns 0 or less. A learner that dithers finds the chest once in 2^N episodes.
    """

    def __init__(
        self,
        size: PositiveInt,
        shuffle_seed: NonNegativeInt | None,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the grid.

        Args:
            size: N.
            shuffle_seed: by which the action to the right is drawn for each state; None: it is 1 everywhere.
            max_steps: an episode that lasts so long is truncated; None: never, and it ends after N steps.
            render_mode: None, ``ansi`` or ``rgb_array``.
        """
        require_room(size * size, 2, 1, "set {size} lower")
        self._size, self._right = size, _right(size, shuffle_seed)
        super().__init__(_mdp(size, self._right), max_steps=max_steps, render_mode=render_mode)

    def layout(self) -> Layout:
        """Return the grid."""
        states = np.arange(self._size**2).reshape(self._size, -1)
        labels = np.full(states.shape, "", "<U1")
        labels[0, 0] = "S"
        return Layout((Panel("", states, labels),), ("0", "1"))

    def text(self) -> str:
        """Return a line for each row: S the start, C where the chest is to the right."""
        cells = [["."] * self._size for _ in range(self._size)]
        cells[0][0], cells[-1][-1] = "S", "C"
        return lines(cells, divmod(self.state, self._size))

    def frame(self) -> Image.Image:
        """Return the grid: where an episode begins, the chest's cell green, the diver a disc."""
        board = Board(self._size, self._size)
        board.fill([(0, 0)], START)
        board.fill([(self._size - 1, self._size - 1)], GOAL)
        board.grid()
        board.disc(divmod(self.state, self._size), AGENT)
        return board.image()


def _right(size: int, seed: int | None) -> Array:
    """Return the action [N * N] that leads to the right in each state."""
    if seed is None:
        return np.ones(size * size, np.int64)
    return np.random.default_rng(seed).integers(2, size=size * size)


def _mdp(size: int, right: Array) -> FiniteMDP:
    """Return the MDP of N * N states whose action `right` [N * N] leads to the right."""
    row, column = np.divmod(np.arange(size * size), size)
    goes_right = np.arange(2) == right[:, None]
    reached = np.clip(column[:, None] + np.where(goes_right, 1, -1), 0, size - 1)
    below = np.minimum(row + 1, size - 1)[:, None]
    chest = (row == size - 1) & (column == size - 1)
    reward = np.where(goes_right, chest[:, None] - COST / size, 0.0)
    shape = (size * size, 2, 1)
    ended = np.broadcast_to((row == size - 1)[:, None, None], shape)
    start = np.zeros(size * size)
    start[0] = 1.0
    return FiniteMDP(np.ones(shape), (below * size + reached)[..., None], reward[..., None], ended.copy(), start, None)


make = vectorizable(DeepSea)
