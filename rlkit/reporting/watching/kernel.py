"""Reading numbers out of CSV text, compiled: for tables of millions of rows."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.compiling import inlined, kernel

COMMA, LINE, RETURN, PLUS, MINUS, POINT, ZERO, NINE = b",\n\r+-.09"
EXPONENTS = (69, 101)
"""The codes of E and e."""

POWERS = np.array([float(f"1e{i}") for i in range(23)])
"""The powers of ten that are exact, [23] float64."""

ROOM = 900719925474098
"""The largest number to which a digit can be added without leaving the integers that are exact as float64."""


@inlined
def _ends(text: Array, i: int) -> bool:
    """Return whether a cell ends before place `i`."""
    ends: bool = text[i] == COMMA or text[i] == LINE or (text[i] == RETURN and text[i + 1] == LINE)
    return ends


@inlined
def _cell_end(text: Array, i: int) -> int:
    while not (text[i] == COMMA or text[i] == LINE):
        i += 1
    return i


@inlined
def _line_end(text: Array, i: int) -> int:
    while text[i] != LINE:
        i += 1
    return i


@inlined
def _digits(text: Array, i: int) -> tuple[int, int, int, bool]:
    """Return the end of digits with a point, their number without it, its power of ten, and whether it is exact."""
    number = scale = digits = 0
    fraction, exact = False, True
    while ZERO <= text[i] <= NINE or (text[i] == POINT and not fraction):
        if text[i] == POINT:
            fraction = True
        else:
            digits += 1
            scale -= fraction
            if number > ROOM:
                exact = False
            else:
                number = number * 10 + (text[i] - ZERO)
        i += 1
    return i, number, scale, exact and digits > 0


@inlined
def _exponent(text: Array, i: int) -> tuple[int, int, bool]:
    """Return the end of an exponent, and its value; False for one without digits."""
    below = text[i] == MINUS
    i += below or text[i] == PLUS
    first, power = i, 0
    while ZERO <= text[i] <= NINE and power < 1000:
        power = power * 10 + (text[i] - ZERO)
        i += 1
    return i, -power if below else power, i > first


@inlined
def _number(text: Array, i: int, powers: Array) -> tuple[float, bool]:
    """Return the number in the cell from place `i`, and whether it was read."""
    if _ends(text, i):
        return np.nan, True
    minus = text[i] == MINUS
    i, number, scale, exact = _digits(text, i + minus)
    if text[i] in EXPONENTS:
        i, power, whole = _exponent(text, i + 1)
        scale, exact = scale + power, exact and whole
    if not (exact and -22 <= scale <= 22 and _ends(text, i)):
        return np.nan, False
    value = number / powers[-scale] if scale < 0 else number * powers[scale]
    return -value if minus else value, True


@kernel
def parse(text: Array, width: int, wanted: Array, powers: Array, values: Array, left: Array) -> tuple[int, int, bool]:
    """Read rows until the text ends, or until one that is too short.

    A number of at most 15 to 16 digits and a power of ten up to 22 either way is exact in one operation (Clinger, "How
    to Read Floating Point Numbers Accurately", 1990); other cells are left to Python.

    Args:
        text: [bytes] uint8, whole lines.
        width: columns.
        wanted: [k] int64, columns to read, ascending.
        powers: `POWERS`.
        values: [lines, k] float64, filled.
        left: [lines * k, 4] int64, filled with row, place in `wanted`, start and end of cells that were not read.

    Returns:
        rows, cells that were left, and whether no row is too short.
    """
    i = rows = many = 0
    while i < text.size:
        if text[i] != COMMA and _ends(text, i):
            i = _line_end(text, i) + 1
            continue
        k = 0
        for cell in range(width):
            end = _cell_end(text, i)
            if k < wanted.size and wanted[k] == cell:
                values[rows, k], read = _number(text, i, powers)
                if not read:
                    left[many, 0], left[many, 1], left[many, 2], left[many, 3] = rows, k, i, end
                    many += 1
                k += 1
            if text[end] == LINE and cell < width - 1:
                return rows, many, False
            i = end + 1 if cell < width - 1 else end
        i, rows = _line_end(text, i) + 1, rows + 1
    return rows, many, True


def prepare() -> None:
    """Compile `parse`, or load what was compiled before."""
    text, wanted = np.frombuffer(b"1\n", np.uint8), np.zeros(1, np.int64)
    parse(text, 1, wanted, POWERS, np.empty((1, 1)), np.empty((1, 4), np.int64))
