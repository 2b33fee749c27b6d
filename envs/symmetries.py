"""Boards turned and mirrored."""

from __future__ import annotations

import numpy as np

from rlkit.planning.search.model import Symmetry


def square_symmetries(size: int) -> list[Symmetry]:
    """Return the eight of a square board whose actions are its cells, row by row."""
    board = np.arange(size * size).reshape(size, size)
    turned = [np.rot90(side, k) for side in (board, board.T) for k in range(4)]
    return [Symmetry(cells.ravel(), cells.ravel()) for cells in turned]


def mirror_symmetries(rows: int, columns: int) -> list[Symmetry]:
    """Return the two of a board whose actions are its columns."""
    board, names = np.arange(rows * columns).reshape(rows, columns), np.arange(columns)
    return [Symmetry(board.ravel(), names), Symmetry(board[:, ::-1].ravel(), names[::-1])]
