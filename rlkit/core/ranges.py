"""Ranges of numbers, declared where the numbers are: ``batch_size: PositiveInt`` in a constructor or a schema.

`rlkit.config.values` reads these declarations and checks values against them, once, before anything is built. A number
without a declared range must be finite, and a whole number must fit into 64 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isinf
from typing import Annotated

LARGEST = 2**63 - 1
"""The largest whole number that arrays, files and generators can hold."""

SHOWN_DIGITS = 20


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most`.

    Attributes:
        least: the smallest number in the range.
        most: the largest.
        open_below: `least` itself is not in the range.
        open_above: `most` itself is not in the range.
        infinite: plus and minus infinity are, if they are between the bounds.
        or_nan: "not a number" is, which stands for a missing value.
    """

    least: float = -inf
    most: float = inf
    open_below: bool = False
    open_above: bool = False
    infinite: bool = False
    or_nan: bool = False

    def problem(self, value: float) -> str:
        """Return the rule that `value` breaks, such as "it must be at least 1"; an empty text if it breaks none."""
        if self._holds(value):
            return ""
        if isinstance(value, int) and value > LARGEST:
            return "it must be less than 2^63"
        if isinf(value) and not self.infinite:
            return "it must be a finite number"
        return f"it must be {self.rule}"

    def _holds(self, value: float) -> bool:
        if value != value:
            return self.or_nan
        if isinstance(value, int):
            if abs(value) > LARGEST:
                return False
        elif not (self.infinite or isfinite(value)):
            return False
        above = value > self.least if self.open_below else value >= self.least
        below = value < self.most if self.open_above else value <= self.most
        return above and below

    @property
    def rule(self) -> str:
        """The range in words, to follow "it must be"."""
        low = f"{'more than' if self.open_below else 'at least'} {self.least:g}"
        high = f"{'less than' if self.open_above else 'at most'} {self.most:g}"
        if self.least == -inf:
            return "a finite number" if self.most == inf else high
        if self.most == inf:
            return low
        if not self.open_below:
            return f"from {self.least:g} to {'less than ' if self.open_above else ''}{self.most:g}"
        return f"{low} and {high}"


FINITE = Range()
"""What a number must be if nothing is declared."""

PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
Threads = Annotated[int, Range(1, 1024)]
"""A number of threads; libraries end the process where the system cannot start them."""

PositiveFloat = Annotated[float, Range(0, open_below=True)]
NonNegativeFloat = Annotated[float, Range(0)]

Probability = Annotated[float, Range(0, 1)]
"""A probability, share or discount: from 0 to 1."""

PositiveShare = Annotated[float, Range(0, 1, open_below=True)]
ShareBelowOne = Annotated[float, Range(0, 1, open_above=True)]


def shown(value: object) -> str:
    """Return a value for a message; a number of very many digits is abbreviated."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**SHOWN_DIGITS:
        digits = len(hex(value)) * 1204 // 1000  # of the decimal number, about: int to text is limited to 4300 digits
        return f"a number of about {digits} digits"
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:97]}…"
