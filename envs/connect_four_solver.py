"""Exact values of Connect Four positions: alpha-beta over bit boards with a table of the positions met.

Source: Allis (1988) for the game's value; the search is that of Pons (2015): null windows, moves that do not lose at
once, those first that make most threats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from rlkit.core.compiling import entry
from rlkit.core.types import Array
from rlkit.envs.bitboards import count
from rlkit.envs.connect_four_board import BOARD, BOTTOM, COLUMNS, HEIGHT, ROWS

F = TypeVar("F", bound=Callable[..., Any])

CELLS = ROWS * COLUMNS
TABLE = 1 << 22
"""Places in the table; a position that needs a place takes it."""
ORDER = (3, 2, 4, 1, 5, 0, 6)
"""Columns, the middle first."""

WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "_nrt": False}
compiled: Callable[[F], F] = numba.njit(**WITHIN)
kept: Callable[[F], F] = entry(error_model="numpy", no_cfunc_wrapper=True)


@compiled
def _threats(own: int, taken: int) -> int:
    """Return the empty cells on which a stone would complete four in a row."""
    found = (own << 1) & (own << 2) & (own << 3)
    for shift in (HEIGHT - 1, HEIGHT, HEIGHT + 1):
        pair = (own << shift) & (own << 2 * shift)
        found |= pair & (own << 3 * shift)
        found |= pair & (own >> shift)
        pair = (own >> shift) & (own >> 2 * shift)
        found |= pair & (own << shift)
        found |= pair & (own >> 3 * shift)
    return int(found & (BOARD ^ taken))


@compiled
def _safe(own: int, taken: int) -> int:
    """Return the moves after which the other cannot win at once; the mover must not be able to."""
    possible = (taken + BOTTOM) & BOARD
    against = _threats(own ^ taken, taken)
    forced = possible & against
    if forced:
        if forced & (forced - 1):
            return 0  # two threats cannot both be met
        possible = forced
    return int(possible & ~(against >> 1))  # never below a cell that the other wins on


@compiled
def _place(own: int, taken: int) -> int:
    key = np.uint64(own + taken + BOTTOM) * np.uint64(0x9E3779B97F4A7C15)
    return int(key >> np.uint64(42))


@compiled
def _negamax(own: int, taken: int, alpha: int, beta: int, keys: Array, bounds: Array, nodes: Array) -> int:
    """Return a bound of the score within the window; the mover cannot win at once."""
    nodes[0] += 1
    moves = _safe(own, taken)
    stones = int(count(taken))
    if moves == 0:
        return -((CELLS - stones) // 2)
    if stones >= CELLS - 2:
        return 0
    alpha = max(alpha, -((CELLS - 2 - stones) // 2))
    most = (CELLS - 1 - stones) // 2
    key, place = own + taken + BOTTOM, _place(own, taken)
    if keys[place] == key:
        most = min(most, int(bounds[place]))
    beta = min(beta, most)
    if alpha >= beta:
        return beta
    left = moves
    while left:
        # Most threats first; among equals, the column nearest to the middle.
        best, chosen = -1, 0
        for column in ORDER:
            stone = left & (((1 << ROWS) - 1) << (HEIGHT * column))
            if stone:
                made = int(count(_threats(own | stone, taken | stone)))
                if made > best:
                    best, chosen = made, stone
        left ^= chosen
        score = -_negamax(own ^ taken, taken | chosen, -beta, -alpha, keys, bounds, nodes)
        if score >= beta:
            return score
        alpha = max(alpha, score)
    keys[place], bounds[place] = key, alpha
    return alpha


@compiled
def _score(own: int, taken: int, keys: Array, bounds: Array, nodes: Array) -> int:
    """Return the exact score of a position that is not over."""
    stones = int(count(taken))
    if _threats(own, taken) & (taken + BOTTOM) & BOARD:
        return (CELLS + 1 - stones) // 2
    least, most = -((CELLS - stones) // 2), (CELLS + 1 - stones) // 2
    while least < most:
        # Null windows, nearer to zero first, where most is proved soonest.
        middle = least + (most - least) // 2
        if middle <= 0 and least // 2 < middle:
            middle = int(least / 2)
        elif middle >= 0 and most // 2 > middle:
            middle = most // 2
        found = _negamax(own, taken, middle, middle + 1, keys, bounds, nodes)
        if found <= middle:
            most = found
        else:
            least = found
    return least


@kept
def _solve(states: Array, keys: Array, bounds: Array, nodes: Array) -> Array:
    scores = np.zeros(len(states), np.int64)
    for b in range(len(states)):
        scores[b] = _score(states[b, 0], states[b, 1], keys, bounds, nodes)
    return scores


class ConnectFourSolver:
    """Solves positions, and remembers those met on the way.

    Attributes:
        nodes: [1] int64, positions looked at so far.
    """

    def __init__(self) -> None:
        """Make an empty table."""
        self._keys = np.zeros(TABLE, np.int64)
        self._bounds = np.zeros(TABLE, np.int8)
        self.nodes = np.zeros(1, np.int64)

    def scores(self, states: Array) -> Array:
        """Return the scores [B] int64 of positions [B, 3] for whoever is to move; in none is the game over.

        0 is a draw; a win scores 1 with the winner's last stone, 2 with the last but one and so on; a loss is
        negative likewise. Fewer stones take longer: ten about fifty times as long as sixteen.
        """
        return _solve(np.ascontiguousarray(states), self._keys, self._bounds, self.nodes)
