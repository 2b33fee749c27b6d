"""Connect Four: drop stones into seven columns of six, four in a row win."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numba
import numpy as np

from rlkit.core.compiling import callback
from rlkit.core.types import Array
from rlkit.envs.bitboards import drawn
from rlkit.envs.board_envs import playable
from rlkit.envs.board_games import BoardGame
from rlkit.envs.connect_four_board import BOARD, BOTTOM, COLUMNS, HEIGHT, ROWS
from rlkit.envs.connect_four_solver import ConnectFourSolver
from rlkit.envs.symmetries import mirror_symmetries
from rlkit.planning.search.model import LEGAL, ROLLOUT, STEP, Rules
from rlkit.planning.search.rules import certain

WITHIN: dict[str, Any] = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "_nrt": False}


@numba.njit(**WITHIN)
def four(stones):  # type: ignore[no-untyped-def]
    """Return whether a set of cells holds four in a row."""
    pairs = stones & (stones >> 7)
    if pairs & (pairs >> 14):
        return True
    pairs = stones & (stones >> 6)
    if pairs & (pairs >> 12):
        return True
    pairs = stones & (stones >> 8)
    if pairs & (pairs >> 16):
        return True
    pairs = stones & (stones >> 1)
    return (pairs & (pairs >> 2)) != 0


@callback(STEP)
def step(state, action, outcome, data, reached, result):  # type: ignore[no-untyped-def]
    """Drop a stone; a state is (own stones, all stones, player)."""
    own, taken = state[0], state[1]
    after = taken | (taken + (np.int64(1) << (HEIGHT * action)))
    reached[0], reached[1], reached[2] = taken ^ own, after, 1 - state[2]
    won = four(own | (after ^ taken))
    result[0] = 1.0 if won else 0.0
    result[1] = 0.0 if won or after == BOARD else -1.0


@callback(LEGAL)
def legal(state, data, mask):  # type: ignore[no-untyped-def]
    """Allow the columns that are not full."""
    for column in range(COLUMNS):
        mask[column] = (state[1] >> (HEIGHT * column + ROWS - 1)) & 1 == 0


@callback(ROLLOUT)
def rollout(state, rng, data, gamma, max_steps):  # type: ignore[no-untyped-def]
    """Play at random."""
    own, taken, scale = state[0], state[1], 1.0
    for _ in range(max_steps):
        stone = drawn((taken + BOTTOM) & BOARD, rng)
        if four(own | stone):
            return scale
        own, taken, scale = taken ^ own, taken | stone, -gamma * scale
        if taken == BOARD:
            return 0.0
    return 0.0


class ConnectFour(BoardGame):
    """The rules."""

    name = "Connect Four"
    solved = True

    def __init__(self) -> None:
        """Set up the rules."""
        super().__init__(Rules(step, legal, certain, rollout, np.zeros(0)), COLUMNS, ROWS, COLUMNS)
        self.symmetries = mirror_symmetries(ROWS, COLUMNS)

    def initial_state(self) -> Array:
        """Return the empty board, [3] int64."""
        return np.zeros(3, np.int64)

    def stones(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, 6, 7] bool."""
        own, taken = states[:, 0], states[:, 1]
        bits = HEIGHT * np.arange(COLUMNS) + np.arange(ROWS)[::-1, None]
        return np.asarray(np.stack([own, own ^ taken], 1)[:, :, None, None] >> bits & 1 > 0)

    def action_at(self, row: float, column: float) -> int:
        """Return the column at a point of the frame; `row` and `column` are from 0 to 1."""
        return int(column * COLUMNS)

    def move_name(self, state: Array, action: int) -> str:
        """Return the letter of a column, in any state [3]."""
        return chr(97 + action)

    def text(self, state: Array) -> str:
        """Return the board of a state [3] as lines of text with the names of the columns."""
        shown = [" ".join(".XO"[cell] for cell in cells) for cells in self.board(state).tolist()]
        return "\n".join([*shown, " ".join(chr(97 + c) for c in range(COLUMNS))]) + "\n"

    def cell(self, state: Array, action: int) -> tuple[int, int]:
        """Return the cell of the uppermost stone in a column of a state [3]."""
        return int((self.board(state)[:, action] != 0).argmax()), action

    def values(self, states: Array) -> Array:
        """Return the values [B] float64 of states [B, 3] for whoever is to move; slow where few stones lie."""
        return np.sign(self._scores(states)).astype(float)

    @cached_property
    def _scores(self) -> Callable[[Array], Array]:
        return ConnectFourSolver().scores


make = playable(ConnectFour)
