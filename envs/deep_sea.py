"""The deep sea (Osband et al., 2020, bsuite): a treasure that undirected exploration finds once in 2^N episodes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeInt, PositiveInt, Range
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import AGENT, GOAL, LINE, MUTED, Board, lines
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, require_room
from rlkit.runs.plots.grid_map import Layout, Panel

RIGHT = 1
COST, TREASURE = 0.01, 1.0


class DeepSea(TabularEnv):
    """A diver sinks through N rows of N columns, a row at each step, and goes left or right, from the upper left.

    Going right costs ``0.01 / N``, but in the lower right corner it finds the treasure, of 1. So the optimum is .99,
    always right, and what is cheap leads away from it: all others earn at most 0. The state is
    ``row * N + column``, and N^2 at the end.
    """

    def __init__(
        self,
        size: Annotated[int, Range(1)],
        mapping_seed: NonNegativeInt | None,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the table.

        Args:
            size: N, rows, columns, and the steps of an episode.
            mapping_seed: in each cell a coin, drawn by this seed, decides which action goes right; None: 1 everywhere.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there are no cells, or too many.
        """
        if size < 1:
            raise UsageError(f"env.size is {size}; it must be at least 1")
        require_room(size**2 + 1, 2, 1, "set {size} lower")
        self._size, self._mapped = size, mapping_seed is not None
        super().__init__(sea(size, right_actions(size, mapping_seed)), max_steps=max_steps, render_mode=render_mode)

    @property
    def _cell(self) -> tuple[int, int] | None:
        return divmod(self.state, self._size) if self.state < self._size**2 else None

    def layout(self) -> Layout:
        """Return the grid, without the end; actions that mean another thing in each cell are digits."""
        panel = Panel("", np.arange(self._size**2).reshape(self._size, self._size))
        return Layout((panel,), ("0", "1") if self._mapped else ((1, -1), (1, 1)))

    def text(self) -> str:
        """Return the grid: T is the corner of the treasure."""
        cells = [["."] * self._size for _ in range(self._size)]
        cells[-1][-1] = "T"
        return lines(cells, self._cell)

    def frame(self) -> Image.Image:
        """Return the grid: columns that can be reached in each row, the treasure's corner, and the diver."""
        board = Board(self._size, self._size)
        for row in range(self._size):
            for column in range(self._size):
                board.disc((row, column), MUTED if column <= row else LINE, share=0.2)
        board.disc((self._size - 1, self._size - 1), GOAL, share=0.6)
        if self._cell is not None:
            board.disc(self._cell, AGENT, share=0.8)
        return board.image()


def right_actions(size: int, seed: int | None) -> Array:
    """Return the action [N, N] int64 that goes right in each cell: 1, or drawn by a seed."""
    if seed is None:
        return np.full((size, size), RIGHT)
    return np.random.default_rng(seed).integers(2, size=(size, size))


def sea(size: int, right: Array) -> FiniteMDP:
    """Return the MDP, of N^2 + 1 states; `right` [N, N] is the action that goes right in each cell."""
    row, column = np.divmod(np.arange(size**2), size)
    goes_right = np.arange(2) == right.reshape(-1, 1)
    last = np.repeat((row == size - 1)[:, None], 2, axis=1)
    reached = np.where(goes_right, np.minimum(column + 1, size - 1)[:, None], np.maximum(column - 1, 0)[:, None])
    found = last & goes_right & (column == size - 1)[:, None]
    end = np.full((1, 2), size**2)
    next_state = np.concatenate([np.where(last, size**2, (row[:, None] + 1) * size + reached), end])
    reward = np.concatenate([found * TREASURE - goes_right * COST / size, np.zeros((1, 2))])
    terminated = np.concatenate([last, np.ones((1, 2), bool)])
    start = (np.arange(size**2 + 1) == 0).astype(np.float64)
    ones = np.ones((size**2 + 1, 2, 1))
    return FiniteMDP(ones, next_state[..., None], reward[..., None], terminated[..., None], start)


make = vectorizable(DeepSea)
