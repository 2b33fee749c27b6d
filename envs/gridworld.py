"""A grid to walk out of (Sutton & Barto, 2nd ed., example 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import AGENT, ARROW_KEYS, GOAL, MOVES, WHITE, Board, Cell, lines, successors
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, require_room
from rlkit.runs.plots.grid_map import Layout, Panel


class Gridworld(TabularEnv):
    """Cells without walls between them; a state is a cell, row by row.

    The actions move up, right, down and left; into the border, they leave one where one is.
    """

    keys = ARROW_KEYS

    def __init__(
        self,
        rows: PositiveInt,
        columns: PositiveInt,
        terminals: Sequence[Sequence[NonNegativeInt]],
        start: Sequence[NonNegativeInt] | None,
        reward: float,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the grid.

        Args:
            rows: of cells.
            columns: of cells.
            terminals: cells [row, column] in which an episode ends.
            start: cell in which it begins; None: any that is not terminal, drawn uniformly.
            reward: of every move.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: a cell is outside of the grid, or an episode cannot begin.
        """
        require_room(rows * columns, 4, 4, "set {rows} or {columns} lower")
        self._rows, self._columns = rows, columns
        self._terminals: list[Cell] = [self._cell(cell, "terminals") for cell in terminals]
        ends = np.zeros((rows, columns), bool)
        ends[tuple(np.array(self._terminals, int).reshape(-1, 2).T)] = True
        begins = ~ends
        if start is not None:
            begins &= np.arange(rows * columns).reshape(rows, columns) == np.ravel_multi_index(
                self._cell(start, "start"), (rows, columns)
            )
        if not begins.any():
            raise UsageError("env.start is a terminal cell, or all cells are; an episode must begin in another")
        super().__init__(walk(ends, begins, reward), max_steps=max_steps, render_mode=render_mode)

    def _cell(self, cell: Sequence[int], name: str) -> Cell:
        if len(cell) != 2 or not (0 <= cell[0] < self._rows and 0 <= cell[1] < self._columns):
            raise UsageError(
                f"env.{name} names the cell {list(cell)}, outside of the grid; cells are [0, 0] to "
                f"[{self._rows - 1}, {self._columns - 1}]"
            )
        return cell[0], cell[1]

    def layout(self) -> Layout:
        """Return the grid."""
        states = np.arange(self._rows * self._columns).reshape(self._rows, self._columns)
        labels = np.full(states.shape, "", "<U1")
        for cell in self._terminals:
            labels[cell] = "T"
        return Layout((Panel("", states, labels),), MOVES)

    def text(self) -> str:
        """Return a line for each row: T is terminal."""
        cells = [
            ["T" if (row, column) in self._terminals else "." for column in range(self._columns)]
            for row in range(self._rows)
        ]
        return lines(cells, divmod(self.state, self._columns))

    def frame(self) -> Image.Image:
        """Return the grid: terminal cells green, the agent a disc."""
        board = Board(self._rows, self._columns)
        board.fill(self._terminals, GOAL)
        board.grid()
        board.disc(divmod(self.state, self._columns), WHITE, share=0.66)
        board.disc(divmod(self.state, self._columns), AGENT)
        return board.image()


def walk(ends: Array, begins: Array, reward: float) -> FiniteMDP:
    """Return the MDP of a grid.

    Args:
        ends: [R, C] bool, terminal cells.
        begins: [R, C] bool, cells in which episodes begin, equally often.
        reward: of every move that does not begin in a terminal cell.
    """
    ended = np.repeat(ends.reshape(-1, 1), 4, axis=1)
    reached = successors(np.ones(ends.shape, bool)).reshape(-1, 4)
    reached = np.where(ended, np.arange(ends.size)[:, None], reached)
    terminated = ends.ravel()[reached]
    return FiniteMDP(
        np.ones((ends.size, 4, 1)),
        reached[:, :, None],
        np.where(ended, 0.0, float(reward))[:, :, None],
        terminated[:, :, None],
        begins.ravel() / begins.sum(),
    )


make = vectorizable(Gridworld)
