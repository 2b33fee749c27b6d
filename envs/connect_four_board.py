"""Where the stones of Connect Four lie in a word of bits."""

from __future__ import annotations

import numpy as np

# Bit 7c + r is the cell in column c and row r from below; the seventh bit of each column stays empty, so that no line
# runs from one column into the next (Tromp's representation).
ROWS, COLUMNS, HEIGHT = 6, 7, 7
BOTTOM = np.int64(sum(1 << HEIGHT * column for column in range(COLUMNS)))
BOARD = np.int64(int(BOTTOM) * ((1 << ROWS) - 1))
