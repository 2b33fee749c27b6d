"""Gomoku: put stones on a square board of any size, five in a row win."""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from rlkit.core.compiling import callback
from rlkit.core.ranges import Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError
from rlkit.envs.board_envs import playable
from rlkit.envs.board_games import BoardGame
from rlkit.envs.symmetries import square_symmetries
from rlkit.planning.search.draws import below
from rlkit.planning.search.model import LEGAL, ROLLOUT, STEP, Rules
from rlkit.planning.search.rules import certain

WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "_nrt": False}


@numba.njit(**WITHIN)
def _run(board, size, action, down, right, stone):  # type: ignore[no-untyped-def]
    """Count the stones of a kind next to a cell in one direction."""
    row, column, n = action // size + down, action % size + right, 0
    while 0 <= row < size and 0 <= column < size and board[row * size + column] == stone:
        row, column, n = row + down, column + right, n + 1
    return n


@numba.njit(**WITHIN)
def wins(board, size, length, action, stone):  # type: ignore[no-untyped-def]
    """Return whether a stone put on the cell `action` makes a line of `length` or more."""
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        n = 1 + _run(board, size, action, down, right, stone) + _run(board, size, action, -down, -right, stone)
        if n >= length:
            return True
    return False


@callback(STEP)
def step(state, action, outcome, data, reached, result):  # type: ignore[no-untyped-def]
    """Put a stone; a state is a cell after the other, 1 for own stones and -1 for the other's, then the player."""
    size, length = int(data[0]), int(data[1])
    cells, empty = size * size, 0
    for i in range(cells):
        reached[i] = -state[i]
        empty += state[i] == 0
    reached[action], reached[cells] = -1, 1 - state[cells]
    won = wins(reached, size, length, action, -1)
    result[0] = 1.0 if won else 0.0
    result[1] = 0.0 if won or empty == 1 else -1.0


@callback(LEGAL)
def legal(state, data, mask):  # type: ignore[no-untyped-def]
    """Allow the empty cells."""
    for a in range(mask.size):
        mask[a] = state[a] == 0


@callback(ROLLOUT)
def rollout(state, rng, data, gamma, max_steps):  # type: ignore[no-untyped-def]
    """Play at random."""
    size, length = int(data[0]), int(data[1])
    board, free, n = np.empty(size * size, np.int64), np.empty(size * size, np.int64), 0
    for i in range(size * size):
        board[i] = state[i]
        if state[i] == 0:
            free[n] = i
            n += 1
    stone, scale = 1, 1.0
    for _ in range(max_steps):
        k = below(rng, 0, n) if n > 1 else 0
        action, n = free[k], n - 1
        for i in range(k, n):
            free[i] = free[i + 1]
        board[action] = stone
        if wins(board, size, length, action, stone):
            return scale
        if n == 0:
            return 0.0
        stone, scale = -stone, -gamma * scale
    return 0.0


class Gomoku(BoardGame):
    """The rules, in their free form: no move is forbidden, and more than five win too."""

    name = "Gomoku"

    def __init__(self, size: Annotated[int, Range(2)], length: Annotated[int, Range(2)]):
        """Set up the rules.

        Args:
            size: rows and columns of the board.
            length: so many in a row win.

        Raises:
            UsageError: no line could be so long.
        """
        if not 1 < length <= size:
            raise UsageError(f"env.length is {length} and env.size {size}; a line must be of 2 to env.size stones")
        # The eight symmetries of the board, and for each game a board, its legal actions and planes.
        require_memory(400 * size**2, f"a board of {size:,} x {size:,} cells", "set {size} lower")
        super().__init__(Rules(step, legal, certain, rollout, np.array([size, length], float)), size**2, size, size)
        self.symmetries = square_symmetries(size)

    def initial_state(self) -> Array:
        """Return the empty board, [R * C + 1] int64."""
        return np.zeros(self.rows * self.columns + 1, np.int64)

    def stones(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, R, C] bool."""
        cells = states[:, :-1].reshape(-1, self.rows, self.columns)
        return np.stack([cells == 1, cells == -1], 1)


make = playable(Gomoku)
