"""A cab that fetches and delivers a passenger, and must keep clear of anomalies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.utils import colorize
from PIL import Image

from rlkit.core.ranges import PositiveInt
from rlkit.envs.grids import BONUS, GOAL, INK, TRAP, WHITE, Board, Cell, clamped
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, Outcome, from_table
from rlkit.runs.plots.grid_map import Layout, cab_layout

SIZE = 5
PLACES: dict[str, Cell] = {"R": (0, 0), "G": (0, 4), "Y": (4, 0), "B": (4, 3)}
ANOMALIES: tuple[Cell, ...] = ((0, 2), (2, 1), (2, 2), (4, 2))
IN_CAB = 4
MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1))
PICK_UP, DROP_OFF = 4, 5
EMPTY, FULL, PASSENGER = BONUS, (94, 179, 116), (37, 99, 201)


def encoded(row: int, column: int, passenger: int, destination: int) -> int:
    """Return the state, encoded as Gymnasium's Taxi does it."""
    return ((row * SIZE + column) * 5 + passenger) * 4 + destination


def decoded(state: int) -> tuple[int, int, int, int]:
    """Return the cab's row and column, where the passenger is (0 to 3: R G Y B; 4: in the cab), and the destination."""
    rest, destination = divmod(state, 4)
    cell, passenger = divmod(rest, 5)
    return *divmod(cell, SIZE), passenger, destination


class SafeCab(TabularEnv):
    """500 states: 25 cells of the cab, 5 places of the passenger (R, G, Y, B, in the cab), 4 destinations.

    The actions drive south, north, east and west, pick up and drop off. At a place that is not the destination a
    passenger can get off, too, as in Gymnasium's Taxi. An episode begins with the passenger at one of the places, not
    the destination, and the cab on any cell without an anomaly.
    """

    keys = {"down": 0, "up": 1, "right": 2, "left": 3, "p": PICK_UP, "o": DROP_OFF}  # noqa: RUF012

    def __init__(
        self,
        step: float,
        illegal: float,
        delivery: float,
        anomaly: float,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the table.

        Args:
            step: reward of a move, a picking up and a getting off.
            illegal: reward of picking up where nobody waits, or dropping off where nobody can get off.
            delivery: reward of dropping off at the destination, which ends the episode.
            anomaly: reward of entering an anomaly, which ends the episode.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.
        """
        self._rewards = {"step": step, "illegal": illegal, "delivery": delivery, "anomaly": anomaly}
        super().__init__(self._mdp(), max_steps=max_steps, render_mode=render_mode)

    def _mdp(self) -> FiniteMDP:
        states = range(SIZE * SIZE * 5 * 4)
        start = np.array([float(self._begins(*decoded(state))) for state in states])
        table = [[[self._outcome(state, action)] for action in range(6)] for state in states]
        return from_table(table, start / start.sum())

    @staticmethod
    def _begins(row: int, column: int, passenger: int, destination: int) -> bool:
        return passenger not in (IN_CAB, destination) and (row, column) not in ANOMALIES

    def _outcome(self, state: int, action: int) -> Outcome:
        row, column, passenger, destination = decoded(state)
        if passenger == destination or (row, column) in ANOMALIES:
            return 1.0, state, 0.0, True
        if action < PICK_UP:
            cell = clamped((row + MOVES[action][0], column + MOVES[action][1]), SIZE, SIZE)
            ended = cell in ANOMALIES
            reward = self._rewards["anomaly" if ended else "step"]
            return 1.0, encoded(*cell, passenger, destination), reward, ended
        place = next((i for i, at in enumerate(PLACES.values()) if at == (row, column)), None)
        if action == PICK_UP:
            met = place is not None and place == passenger
            after = encoded(row, column, IN_CAB if met else passenger, destination)
            return 1.0, after, self._rewards["step" if met else "illegal"], False
        if place is None or passenger != IN_CAB:
            return 1.0, state, self._rewards["illegal"], False
        delivered = place == destination
        reward = self._rewards["delivery" if delivered else "step"]
        return 1.0, encoded(row, column, place, destination), reward, delivered

    def layout(self) -> Layout:
        """Return a grid for each place to fetch from, and to deliver to."""
        return cab_layout({**PLACES_AT, **dict.fromkeys(ANOMALIES, "x")}, "".join(PLACES))

    def text(self) -> str:
        """Return the grid: ``x`` is an anomaly, the cab yellow where empty and green where full.

        The passenger's place is blue, the destination magenta.
        """
        row, column, passenger, destination = decoded(self.state)
        cells = [["x" if (r, c) in ANOMALIES else " " for c in range(SIZE)] for r in range(SIZE)]
        for i, (letter, (r, c)) in enumerate(PLACES.items()):
            color = "blue" if i == passenger else "magenta" if i == destination else None
            cells[r][c] = letter if color is None else colorize(letter, color, bold=True)
        under = PLACES_AT.get((row, column), "x" if (row, column) in ANOMALIES else "_")
        cells[row][column] = colorize(under, "green" if passenger == IN_CAB else "yellow", highlight=True)
        border = "+" + "-" * (2 * SIZE - 1) + "+\n"
        return border + "".join(f"|{':'.join(line)}|\n" for line in cells) + border + self._last()

    def _last(self) -> str:
        names = ("south", "north", "east", "west", "pick up", "drop off")
        return "" if self.action is None else f"  ({names[self.action]})\n"

    def frame(self) -> Image.Image:
        """Return the grid: anomalies red, the destination framed green, the cab yellow where empty, green where full.

        The passenger who waits is blue, as is the one within the cab.
        """
        row, column, passenger, destination = decoded(self.state)
        board = Board(SIZE, SIZE)
        board.fill(ANOMALIES, (250, 222, 217))
        board.grid()
        for cell in ANOMALIES:
            board.cross(cell, TRAP)
        for i, (letter, cell) in enumerate(PLACES.items()):
            self._place(board, cell, letter, wanted=i == destination)
        self._cab(board, row, column, full=passenger == IN_CAB)
        if passenger != IN_CAB:
            self._passenger(board, list(PLACES.values())[passenger], aside=True)
        return board.image()

    @staticmethod
    def _place(board: Board, cell: Cell, letter: str, *, wanted: bool) -> None:
        row, column = cell
        if wanted:
            board.box(row + 0.04, column + 0.04, row + 0.96, column + 0.96, GOAL, round=0.12)
            board.box(row + 0.1, column + 0.1, row + 0.9, column + 0.9, (226, 243, 232), round=0.1)
        board.label(row + 0.24, column + 0.24, letter, INK, share=0.22)

    def _cab(self, board: Board, row: int, column: int, *, full: bool) -> None:
        board.box(row + 0.34, column + 0.3, row + 0.56, column + 0.7, INK, round=0.06)
        board.box(row + 0.38, column + 0.34, row + 0.54, column + 0.66, (190, 220, 240), round=0.03)
        board.box(row + 0.5, column + 0.18, row + 0.74, column + 0.82, FULL if full else EMPTY, round=0.07)
        for wheel in (0.32, 0.68):
            board.disc((row + 0.24, column + wheel - 0.5), INK, share=0.18)
        if full:
            board.disc((row - 0.05, column), PASSENGER, share=0.14)

    @staticmethod
    def _passenger(board: Board, cell: Cell, *, aside: bool) -> None:
        row, column = cell[0] + 0.5, cell[1] + (0.82 if aside else 0.5)
        board.disc((row - 0.86, column - 0.5), PASSENGER, share=0.16)
        board.box(row - 0.28, column - 0.07, row - 0.06, column + 0.07, PASSENGER, round=0.05)
        board.line((row - 0.06, column), (row - 0.06, column), WHITE)


PLACES_AT: dict[Cell, str] = {cell: letter for letter, cell in PLACES.items()}


def anomaly_states() -> Sequence[int]:
    """Return the states in which the cab stands on an anomaly."""
    return [state for state in range(SIZE * SIZE * 5 * 4) if decoded(state)[:2] in ANOMALIES]


make = vectorizable(SafeCab)
