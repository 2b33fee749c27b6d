"""What environments on grids share: moves, and drawings of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import colorize
from PIL import Image, ImageDraw, ImageFont

from rlkit.core.resources import LOOKED_UP, require_memory
from rlkit.core.types import Array

UP, RIGHT, DOWN, LEFT = range(4)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns by which each of the four actions moves."""

ARROWS = {"up": 1073741906, "right": 1073741903, "down": 1073741905, "left": 1073741904}
"""SDL's codes of the keys; the letters W, D, S and A stand in for them."""

LETTERS = {"up": "w", "right": "d", "down": "s", "left": "a"}

ARROW_KEYS = {"up": UP, "right": RIGHT, "down": DOWN, "left": LEFT}

Color = tuple[int, int, int]
Cell = tuple[int, int]

PAPER, LINE, WALL = (250, 248, 243), (214, 209, 199), (66, 72, 84)
GOAL, TRAP, AGENT, BONUS, START = (64, 160, 98), (205, 74, 64), (37, 99, 201), (238, 178, 52), (205, 221, 246)
INK, WHITE, MUTED = (45, 49, 58), (255, 255, 255), (126, 130, 138)

SIZE = 480
"""Pixels of a frame's longer side, about."""

SHARP = 2
"""Frames are drawn so many times as large, so that slanting lines are smooth."""


def pressed(keys: Mapping[str, int]) -> dict[Any, int]:
    """Return the actions of keys by name in Gymnasium's convention: arrows, letters for them, and other letters."""
    letters = {(LETTERS.get(name, name),): action for name, action in keys.items()}
    return letters | {ARROWS[name]: action for name, action in keys.items() if name in ARROWS}


def clamped(cell: Cell, rows: int, columns: int) -> Cell:
    """Return the cell of the grid that is nearest to `cell`."""
    return min(max(cell[0], 0), rows - 1), min(max(cell[1], 0), columns - 1)


def successors(free: Array) -> Array:
    """Return the index [R, C, 4] int64 of the cell that each move leads to, the same cell where it is not free.

    Args:
        free: [R, C] bool, cells that can be entered.
    """
    rows, columns = free.shape
    own = np.arange(rows * columns).reshape(rows, columns)
    reached = np.repeat(own[:, :, None], 4, axis=2)
    # Seen from both sides of each border between two cells.
    for first, second, there, back in (
        (np.s_[:-1, :], np.s_[1:, :], DOWN, UP),
        (np.s_[:, :-1], np.s_[:, 1:], RIGHT, LEFT),
    ):
        reached[(*first, there)] = np.where(free[second], own[second], own[first])
        reached[(*second, back)] = np.where(free[first], own[first], own[second])
    return reached


def lines(cells: Sequence[Sequence[str]], agent: Cell | None) -> str:
    """Return characters as lines of text, the agent's cell highlighted."""
    shown = [list(row) for row in cells]
    if agent is not None:
        row, column = agent
        shown[row][column] = colorize(shown[row][column], "red", highlight=True)
    return "\n".join("".join(row) for row in shown) + "\n"


def text_picture(text: str) -> Image.Image:
    """Return lines of text as a frame, each character in a cell of its own."""
    rows = text.rstrip("\n").split("\n")
    board = Board(len(rows), max(map(len, rows)))
    for row, line in enumerate(rows):
        for column, character in enumerate(line):
            board.label(row + 0.5, column + 0.5, character, share=0.8)
    return board.image()


class Board:
    """A frame of a grid of cells.

    Coordinates are cells, as floats where something lies between them: (0.5, 0.5) is the middle of the first.
    """

    def __init__(self, rows: int, columns: int, *, size: int = SIZE):
        """Draw an empty grid whose longer side is about `size` pixels."""
        # Even, as video codecs want it.
        pixels = rows * columns * (SHARP * 8) ** 2
        if 4 * pixels >= LOOKED_UP:
            what = f"a picture of {rows:,} x {columns:,} cells"
            require_memory(4 * pixels, what, "set env.rows or env.columns lower, or video=none")
        self._cell = SHARP * max(8, size // max(rows, columns) // 2 * 2)
        self._image = Image.new("RGB", (columns * self._cell, rows * self._cell), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._rows, self._columns = rows, columns

    def grid(self, color: Color = LINE) -> None:
        """Draw the lines between the cells."""
        width = max(1, self._cell // 40)
        for row in range(self._rows + 1):
            self._draw.line([self._at(row, 0), self._at(row, self._columns)], color, width)
        for column in range(self._columns + 1):
            self._draw.line([self._at(0, column), self._at(self._rows, column)], color, width)

    def fill(self, cells: Iterable[Cell], color: Color) -> None:
        """Paint cells."""
        for row, column in cells:
            self._draw.rectangle([self._at(row, column), self._at(row + 1, column + 1)], color)

    def box(self, top: float, left: float, bottom: float, right: float, color: Color, *, round: float = 0.0) -> None:
        """Paint a rectangle, its corners rounded by a share of a cell."""
        self._draw.rounded_rectangle([self._at(top, left), self._at(bottom, right)], round * self._cell, color)

    def disc(self, cell: tuple[float, float], color: Color, *, share: float = 0.6) -> None:
        """Draw a disc in a cell, as wide as a `share` of it."""
        row, column = cell[0] + 0.5, cell[1] + 0.5
        radius = share / 2
        self._draw.ellipse([self._at(row - radius, column - radius), self._at(row + radius, column + radius)], color)

    def cross(self, cell: Cell, color: Color) -> None:
        """Draw a cross in a cell."""
        (row, column), reach = cell, 0.24
        width = max(2, self._cell // 9)
        for end in (-reach, reach):
            corners = [self._at(row + 0.5 - reach, column + 0.5 - end), self._at(row + 0.5 + reach, column + 0.5 + end)]
            self._draw.line(corners, color, width)

    def line(self, start: tuple[float, float], end: tuple[float, float], color: Color, *, share: float = 0.06) -> None:
        """Draw a line, as wide as a `share` of a cell."""
        self._draw.line([self._at(*start), self._at(*end)], color, max(1, int(share * self._cell)))

    def arrow(self, row: float, column: float, down: float, right: float, color: Color) -> None:
        """Draw an arrow that points `down` and `right` of its middle."""
        tip, side = (row + down, column + right), (0.5 * right, -0.5 * down)
        self.line((row - down, column - right), (row + 0.4 * down, column + 0.4 * right), color)
        back = (row + 0.2 * down, column + 0.2 * right)
        corners = [tip, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        self._draw.polygon([self._at(*corner) for corner in corners], color)

    def label(self, row: float, column: float, text: str, color: Color = INK, *, share: float = 0.4) -> None:
        """Write around a point, letters as high as a `share` of a cell."""
        font = ImageFont.load_default(size=max(8, share * self._cell))
        self._draw.text(self._at(row, column), text, color, font=font, anchor="mm")

    def image(self) -> Image.Image:
        """Return the frame, a PIL image."""
        return self._image.reduce(SHARP)

    def _at(self, row: float, column: float) -> tuple[float, float]:
        return column * self._cell, row * self._cell
