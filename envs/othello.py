"""Othello: enclosed stones turn over, and most stones at the end win."""

from __future__ import annotations

from typing import Annotated, Any

import numba
import numpy as np

from rlkit.core.compiling import callback
from rlkit.core.ranges import Range
from rlkit.core.types import Array, UsageError
from rlkit.envs.bitboards import count, drawn
from rlkit.envs.board_envs import playable
from rlkit.envs.board_games import BoardGame
from rlkit.envs.symmetries import square_symmetries
from rlkit.planning.search.model import LEGAL, ROLLOUT, STEP, Rules
from rlkit.planning.search.rules import certain

WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "_nrt": False}

# Bit 8r + c is the cell in row r and column c, whatever the size of the board. Shifts to the left and to the right,
# and the cells from which each does not leave the board on a side.
NOT_LEFT = np.uint64(0xFEFEFEFEFEFEFEFE)
NOT_RIGHT = np.uint64(0x7F7F7F7F7F7F7F7F)
ONE = np.uint64(1)


@numba.njit(**WITHIN)
def _moved(stones, direction):  # type: ignore[no-untyped-def]
    """Return a set of cells moved by one cell; directions d and d + 4 are opposite."""
    if direction == 0:
        return (stones & NOT_RIGHT) << ONE
    if direction == 1:
        return stones << np.uint64(8)
    if direction == 2:
        return (stones & NOT_RIGHT) << np.uint64(9)
    if direction == 3:
        return (stones & NOT_LEFT) << np.uint64(7)
    if direction == 4:
        return (stones & NOT_LEFT) >> ONE
    if direction == 5:
        return stones >> np.uint64(8)
    if direction == 6:
        return (stones & NOT_LEFT) >> np.uint64(9)
    return (stones & NOT_RIGHT) >> np.uint64(7)


@numba.njit(**WITHIN)
def moves(own, other, board):  # type: ignore[no-untyped-def]
    """Return the cells of `board` on which a stone would enclose some of the other's."""
    found, empty = np.uint64(0), board & ~(own | other)
    for direction in range(8):
        line = _moved(own, direction) & other
        for _ in range(5):
            line |= _moved(line, direction) & other
        found |= _moved(line, direction) & empty
    return found


@numba.njit(**WITHIN)
def turned_over(stone, own, other):  # type: ignore[no-untyped-def]
    """Return the other's stones that a new stone encloses."""
    found = np.uint64(0)
    for direction in range(8):
        line, cell = np.uint64(0), _moved(stone, direction)
        while cell & other:
            line |= cell
            cell = _moved(cell, direction)
        if cell & own:
            found |= line
    return found


@numba.njit(**WITHIN)
def _verdict(own, other):  # type: ignore[no-untyped-def]
    """Return 1, 0 or -1 for whoever has `own`."""
    difference = count(np.int64(own)) - count(np.int64(other))
    return 1.0 if difference > 0 else -1.0 if difference < 0 else 0.0


@numba.njit(**WITHIN)
def _bit(action, size):  # type: ignore[no-untyped-def]
    return ONE << np.uint64(8 * (action // size) + action % size)


@numba.njit(**WITHIN)
def _board(size):  # type: ignore[no-untyped-def]
    cells = np.uint64(0)
    for action in range(size * size):
        cells |= _bit(action, size)
    return cells


@callback(STEP)
def step(state, action, outcome, data, reached, result):  # type: ignore[no-untyped-def]
    """Put a stone; a state is (own stones, the other's, player). Who cannot move is passed over."""
    size = int(data[0])
    own, other, board = np.uint64(state[0]), np.uint64(state[1]), _board(size)
    stone = _bit(action, size)
    turned = turned_over(stone, own, other)
    own, other = own | stone | turned, other & ~turned
    result[0] = 0.0
    if moves(other, own, board):
        reached[0], reached[1], reached[2], result[1] = np.int64(other), np.int64(own), 1 - state[2], -1.0
    elif moves(own, other, board):
        reached[0], reached[1], reached[2], result[1] = np.int64(own), np.int64(other), state[2], 1.0
    else:
        reached[0], reached[1], reached[2], result[1] = np.int64(other), np.int64(own), 1 - state[2], 0.0
        result[0] = _verdict(own, other)


@callback(LEGAL)
def legal(state, data, mask):  # type: ignore[no-untyped-def]
    """Allow the cells that enclose something."""
    size = int(data[0])
    found = moves(np.uint64(state[0]), np.uint64(state[1]), _board(size))
    for a in range(mask.size):
        mask[a] = (found & _bit(a, size)) != 0


@callback(ROLLOUT)
def rollout(state, rng, data, gamma, max_steps):  # type: ignore[no-untyped-def]
    """Play at random."""
    size, scale = int(data[0]), 1.0
    own, other, board = np.uint64(state[0]), np.uint64(state[1]), _board(size)
    free = moves(own, other, board)
    for _ in range(max_steps):
        stone = np.uint64(drawn(np.int64(free), rng))
        turned = turned_over(stone, own, other)
        own, other = own | stone | turned, other & ~turned
        free = moves(other, own, board)
        if free:
            own, other, scale = other, own, -gamma * scale
            continue
        free = moves(own, other, board)
        if not free:
            return scale * _verdict(own, other)
        scale *= gamma
    return 0.0


class Othello(BoardGame):
    """The rules on a board of even size up to 8."""

    name = "Othello"

    def __init__(self, size: Annotated[int, Range(4)]):
        """Set up the rules.

        Args:
            size: rows and columns of the board: 4, 6 or 8.

        Raises:
            UsageError: another size.
        """
        if size not in (4, 6, 8):
            raise UsageError(f"env.size is {size}; an Othello board has 4, 6 or 8 rows")
        super().__init__(Rules(step, legal, certain, rollout, np.array([size], float)), size**2, size, size)
        self.symmetries = square_symmetries(size)

    def initial_state(self) -> Array:
        """Return the board [3] int64 with four stones: the first player has the upper right and the lower left one."""
        high, low = self.rows // 2 - 1, self.rows // 2
        own = (1 << 8 * high + low) | (1 << 8 * low + high)
        other = (1 << 8 * high + high) | (1 << 8 * low + low)
        return np.array([own, other, 0], np.int64)

    def stones(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, R, C] bool."""
        cells = 8 * np.arange(self.rows)[:, None] + np.arange(self.columns)
        bits = states[:, :2].astype(np.uint64)[:, :, None, None] >> cells.astype(np.uint64)
        return np.asarray(bits & ONE) > 0


make = playable(Othello)
