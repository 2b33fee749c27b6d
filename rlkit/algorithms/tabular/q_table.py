"""What tabular agents share: steps as Python's numbers, and tables of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, State, Transition


class Step(NamedTuple):
    """One step of one environment; one by one, Python's own numbers are several times as fast as NumPy's."""

    s_tm1: int
    a_tm1: int
    r_t: float
    discount_t: float  # gamma included
    s_t: int
    last: bool
    legal_tm1: Array | None  # [A] bool, for s_tm1
    legal: Array | None  # [A] bool, for s_t


def steps_of(transition: Transition, index: Callable[[Array], Array], gamma: float) -> list[tuple[int, Step]]:
    """Return (environment, step) of each valid row; `index` gives the states [N] of observations [N, ...]."""
    n = len(transition.last)
    columns = (
        index(transition.observation).tolist(),
        transition.action.tolist(),
        transition.reward.tolist(),
        [gamma * discount for discount in transition.discount.tolist()],
        index(transition.next_observation).tolist(),
        transition.last.tolist(),
        [None] * n if transition.legal_actions is None else list(transition.legal_actions),
        [None] * n if transition.next_legal_actions is None else list(transition.next_legal_actions),
    )
    rows = [Step(*row) for row in zip(*columns, strict=True)]
    return [(i, rows[i]) for i in np.flatnonzero(transition.valid).tolist()]


def plain(step: Step) -> list[Any]:
    """Return a step as plain data."""
    return list(step)


def from_plain(values: Sequence[Any]) -> Step:
    """Return the step that `plain` gave."""
    return Step(*values)


def added(values: Iterable[float]) -> float:
    """Return the sum, added from the first to the last: newer Pythons' own `sum` rounds differently."""
    total = 0.0
    for value in values:
        total += value
    return total


def highest(row: Array, legal: Array | None) -> float:
    """Return the largest of the values [A] of legal actions; 0 where none is legal, which is so at an end only."""
    return float(max((row if legal is None else row[legal]).tolist(), default=0.0))


Worth = Callable[[Step], float]
"""What the successor of a step is worth."""


class Table:
    """Values [S, A], each moved by a rate that decays with its visits.

    Attributes:
        values: [S, A] float64.
        visits: [S, A] int64, how often each was visited.
        rate: of the first visit.
        decay: the n-th visit learns at ``rate / n ** decay``.
    """

    def __init__(self, values: Array, visits: Array, rate: float, decay: float):
        """Take the arrays, to be changed in place; with rate and decay 1 values are means."""
        self.values, self.visits = values, visits
        self.rate, self.decay = rate, decay

    def visit(self, s: int, a: int) -> None:
        """Count a visit."""
        self.visits[s, a] += 1

    def move(self, s: int, a: int, error: float) -> None:
        """Move the value of `a` in `s` by its share of `error`."""
        # Of two tables one may follow a trace that only the other one left.
        self.values[s, a] += self.rate * max(self.visits.item(s, a), 1) ** -self.decay * error

    def highest(self, s: int, legal: Array | None) -> float:
        """Return the largest value in `s` of a legal action; 0 where none is legal, which is so at an end only."""
        return highest(self.values[s], legal)

    def best(self, s: int, legal: Array | None) -> int:
        """Return the first action with that value."""
        row = self.values[s] if legal is None else np.where(legal, self.values[s], -np.inf)
        return int(row.argmax())

    def state_dict(self) -> State:
        """Return values and visits."""
        return {"values": self.values.copy(), "visits": self.visits.copy()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.values[...], self.visits[...] = state["values"], state["visits"]
