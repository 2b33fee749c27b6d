"""A grid with wind (Sutton & Barto, 2nd ed., example 6.5; exercises 6.9 and 6.10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import UsageError
from rlkit.envs.grids import AGENT, ARROW_KEYS, GOAL, LINE, MOVES, MUTED, START, Board, Cell, clamped, lines
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, Outcome, from_table, require_room
from rlkit.runs.plots.grid_map import Layout, Panel

KINGS_MOVES = (*MOVES, (-1, 1), (1, 1), (1, -1), (-1, -1), (0, 0))
"""Up, right, down, left, the four between them clockwise, and none."""

BREEZE = (235, 242, 246)


class WindyGridworld(TabularEnv):
    """Cells over which a wind blows upwards, as strong as the column says in which a move begins.

    A state is a cell, row by row. Every move costs 1, and the episode ends at the goal.
    """

    keys = ARROW_KEYS

    def __init__(
        self,
        rows: PositiveInt,
        wind: Sequence[NonNegativeInt],
        start: Sequence[NonNegativeInt],
        goal: Sequence[NonNegativeInt],
        moves: int,
        stochastic: bool,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the grid.

        Args:
            rows: of cells.
            wind: cells by which each column lifts.
            start: cell [row, column].
            goal: cell [row, column].
            moves: 4; 8: a king's, too; 9: and staying.
            stochastic: a wind above 0 is one weaker, as given, or one stronger, each a third of the time.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there is no such number of moves, or a cell is outside of the grid.
        """
        if moves not in (4, 8, 9):
            raise UsageError(f"env.moves is {moves}; it must be 4, 8 (a king's) or 9 (and staying)")
        require_room(40 * rows * len(wind), moves, 3, "set {rows} lower, or a shorter {wind}")
        self._rows, self._wind, self._stochastic = rows, list(wind), stochastic
        self._start, self._goal = self._cell(start, "start"), self._cell(goal, "goal")
        super().__init__(self._mdp(KINGS_MOVES[:moves]), max_steps=max_steps, render_mode=render_mode)

    def _cell(self, cell: Sequence[int], name: str) -> Cell:
        columns = len(self._wind)
        if len(cell) != 2 or not (0 <= cell[0] < self._rows and 0 <= cell[1] < columns):
            last = [self._rows - 1, columns - 1]
            raise UsageError(f"env.{name} is the cell {list(cell)}, outside of the grid; cells are [0, 0] to {last}")
        return cell[0], cell[1]

    def _mdp(self, moves: Sequence[Cell]) -> FiniteMDP:
        columns = len(self._wind)
        cells = [divmod(state, columns) for state in range(self._rows * columns)]
        table = [[self._outcomes(cell, move) for move in moves] for cell in cells]
        return from_table(table, np.array([float(cell == self._start) for cell in cells]))

    def _outcomes(self, cell: Cell, move: Cell) -> list[Outcome]:
        (row, column), columns = cell, len(self._wind)
        if cell == self._goal:
            return [(1.0, row * columns + column, 0.0, True)]
        wind = self._wind[column]
        winds = (wind - 1, wind, wind + 1) if self._stochastic and wind else (wind,)
        outcomes: list[Outcome] = []
        for strength in winds:
            reached = clamped((row + move[0] - strength, column + move[1]), self._rows, columns)
            outcomes.append((1 / len(winds), reached[0] * columns + reached[1], -1.0, reached == self._goal))
        return outcomes

    def layout(self) -> Layout:
        """Return the grid."""
        states = np.arange(self._rows * len(self._wind)).reshape(self._rows, -1)
        labels = np.full(states.shape, "", "<U1")
        labels[self._start], labels[self._goal] = "S", "G"
        moves = [move if any(move) else "stay" for move in KINGS_MOVES[: self.mdp.num_actions]]
        return Layout((Panel("", states, labels, goals=labels == "G"),), tuple(moves))

    def text(self) -> str:
        """Return a line for each row: S the start, G the goal; below, the wind."""
        cells = [["."] * len(self._wind) for _ in range(self._rows)]
        for (row, column), letter in ((self._start, "S"), (self._goal, "G")):
            cells[row][column] = letter
        return lines(cells, divmod(self.state, len(self._wind))) + "".join(map(str, self._wind)) + "\n"

    def frame(self) -> Image.Image:
        """Return the grid: arrows where the wind blows, the goal green, the agent a disc."""
        columns = len(self._wind)
        board = Board(self._rows, columns)
        for column, wind in enumerate(self._wind):
            shade = tuple(max(0, value - (12, 7, 3)[i] * (wind - 1)) for i, value in enumerate(BREEZE))
            board.fill([(row, column) for row in range(self._rows) if wind], (shade[0], shade[1], shade[2]))
        board.fill([self._start], START)
        board.fill([self._goal], GOAL)
        board.grid(LINE)
        for row in range(self._rows):
            for column, wind in enumerate(self._wind):
                for k in range(wind if (row, column) != self._goal else 0):
                    board.arrow(row + 0.5, column + (k + 1) / (wind + 1), -0.22, 0.0, MUTED)
        board.disc(divmod(self.state, columns), AGENT)
        return board.image()


make = vectorizable(WindyGridworld)
