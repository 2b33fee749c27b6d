"""Tic-tac-toe: three in a row on a 3x3 board."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from rlkit.core.compiling import callback
from rlkit.core.types import Array
from rlkit.envs.bitboards import drawn
from rlkit.envs.board_envs import playable
from rlkit.envs.board_games import BoardGame
from rlkit.envs.symmetries import square_symmetries
from rlkit.planning.search.minimax import Minimax
from rlkit.planning.search.model import LEGAL, ROLLOUT, STEP, Rules
from rlkit.planning.search.rules import certain

WITHIN: dict[str, Any] = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "_nrt": False}
FULL = 511
_FIRST_CELLS = np.int64(0b001001001)
_TOP = np.int64(0b000000111)


@numba.njit(**WITHIN)
def three(b):  # type: ignore[no-untyped-def]
    """Return whether a set of cells holds three in a row; bit 3r + c is the cell in row r and column c."""
    return (
        (b & (b >> 1) & (b >> 2) & _FIRST_CELLS) != 0
        or (b & (b >> 3) & (b >> 6) & _TOP) != 0
        or (b & 273) == 273
        or (b & 84) == 84
    )


@callback(STEP)
def step(state, action, outcome, data, reached, result):  # type: ignore[no-untyped-def]
    """Put a stone; a state is (own stones, the other's, player)."""
    own, other = state[0] | (1 << action), state[1]
    reached[0], reached[1], reached[2] = other, own, 1 - state[2]
    won = three(own)
    result[0] = 1.0 if won else 0.0
    result[1] = 0.0 if won or (own | other) == FULL else -1.0


@callback(LEGAL)
def legal(state, data, mask):  # type: ignore[no-untyped-def]
    """Allow the empty cells."""
    taken = state[0] | state[1]
    for a in range(9):
        mask[a] = (taken >> a) & 1 == 0


@callback(ROLLOUT)
def rollout(state, rng, data, gamma, max_steps):  # type: ignore[no-untyped-def]
    """Play at random."""
    own, other, scale = state[0], state[1], 1.0
    for _ in range(max_steps):
        own |= drawn(FULL & ~(own | other), rng)
        if three(own):
            return scale
        if (own | other) == FULL:
            return 0.0
        own, other, scale = other, own, -gamma * scale
    return 0.0


class TicTacToe(BoardGame):
    """The rules."""

    name = "tic-tac-toe"
    solved = True

    def __init__(self) -> None:
        """Set up the rules."""
        super().__init__(Rules(step, legal, certain, rollout, np.zeros(0)), 9, 3, 3)
        self.symmetries = square_symmetries(3)
        self._solver = Minimax(self)

    def initial_state(self) -> Array:
        """Return the empty board, [3] int64."""
        return np.zeros(3, np.int64)

    def stones(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, 3, 3] bool."""
        bits = states[:, :2, None] >> np.arange(9) & 1
        return np.asarray(bits.reshape(-1, 2, 3, 3) > 0)

    def values(self, states: Array) -> Array:
        """Return the values [B] float64 of states [B, 3] for whoever is to move."""
        return self._solver.state_values(states)


make = playable(TicTacToe)
