"""What tabular agents share: steps as Python's numbers, tables of values, and how an error is spread over steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rlkit.core import Array, State, Transition, UsageError
from rlkit.spaces import state_index
from rlkit.targets import td_error, td_target


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


def steps_of(transition: Transition, space: Any, gamma: float) -> list[tuple[int, Step]]:
    """Return (environment, step) of each valid row; `space` is that of the observations."""
    n = len(transition.last)
    columns = (
        state_index(transition.observation, space).tolist(),
        transition.action.tolist(),
        transition.reward.tolist(),
        [gamma * discount for discount in transition.discount.tolist()],
        state_index(transition.next_observation, space).tolist(),
        transition.last.tolist(),
        [None] * n if transition.legal_actions is None else list(transition.legal_actions),
        [None] * n if transition.next_legal_actions is None else list(transition.next_legal_actions),
    )
    rows = [Step(*row) for row in zip(*columns, strict=True)]
    return [(i, rows[i]) for i in np.flatnonzero(transition.valid).tolist()]


class Table:
    """Values [S, A], each moved by a rate that decays with its visits.

    Attributes:
        values: [S, A] float64.
        visits: [S, A] int64, how often each was visited.
    """

    def __init__(self, shape: tuple[int, int], initial_value: float, rate: float, decay: float):
        """Start with `initial_value`; the n-th visit learns at ``rate / n ** decay``: rate and decay 1 give means."""
        self.values = np.full(shape, float(initial_value))
        self.visits = np.zeros(shape, np.int64)
        self._rate, self._decay = rate, decay

    def visit(self, s: int, a: int) -> None:
        """Count a visit."""
        self.visits[s, a] += 1

    def move(self, s: int, a: int, error: float) -> None:
        """Move the value of `a` in `s` by its share of `error`."""
        self.values[s, a] += self._rate * self.visits.item(s, a) ** -self._decay * error

    def highest(self, s: int, legal: Array | None) -> float:
        """Return the largest value in `s` of a legal action; 0 where none is legal, which is so at an end only."""
        row = self.values[s] if legal is None else self.values[s][legal]
        return float(max(row.tolist(), default=0.0))

    def best(self, s: int, legal: Array | None) -> int:
        """Return the first action with that value."""
        row = self.values[s] if legal is None else np.where(legal, self.values[s], -np.inf)
        return int(row.argmax())

    def state_dict(self) -> State:
        """Return values and visits."""
        return {"values": self.values.copy(), "visits": self.visits.copy()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.values, self.visits = np.array(state["values"]), np.array(state["visits"])


Worth = Callable[[Step], float]
"""What the successor of a step is worth."""


class Credit(Protocol):
    """Who learns from a step, beside the step itself.

    Attributes:
        reaches_back: earlier steps do.
    """

    reaches_back: bool

    def spread(self, i: int, step: Step, v_t: float, table: Table) -> list[float]:
        """Learn from a step of environment `i` whose successor is worth `v_t`; return the errors."""

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Let no earlier step of environment `i` learn from what comes now; return the errors."""

    def state_dict(self) -> State:
        """Return the steps that still learn."""

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""


def make_credit(n_step: int, trace_decay: float) -> Credit:
    """Return the credit of n-step returns, or of traces where `trace_decay` is more than 0.

    Raises:
        UsageError: both, or a value that cannot be.
    """
    if n_step < 1 or not 0 <= trace_decay <= 1 or (n_step > 1 and trace_decay > 0):
        raise UsageError(
            f"agent.n_step is {n_step} and agent.trace_decay {trace_decay}; take either n_step of at least 1 and "
            "trace_decay=0, or n_step=1 and trace_decay up to 1"
        )
    return Traces(trace_decay) if trace_decay > 0 else Returns(n_step) if n_step > 1 else OneStep()


class OneStep:
    """Only the step itself learns (Sutton & Barto, 2nd ed., chapter 6)."""

    reaches_back = False

    def spread(self, i: int, step: Step, v_t: float, table: Table) -> list[float]:
        """Learn from a step."""
        s, a = step.s_tm1, step.a_tm1
        error: float = td_error(table.values.item(s, a), step.r_t, step.discount_t, v_t)
        table.visit(s, a)
        table.move(s, a, error)
        return [error]

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Do nothing: no earlier step still learns."""
        return []

    def state_dict(self) -> State:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take back nothing."""


class Returns:
    """Each step learns from the rewards of up to n steps (Sutton & Barto, 2nd ed., chapter 7)."""

    reaches_back = True

    def __init__(self, n_step: int):
        """Wait for `n_step` steps."""
        self._n_step = n_step
        self._tails: dict[int, list[Step]] = {}

    def spread(self, i: int, step: Step, v_t: float, table: Table) -> list[float]:
        """Learn from the step n steps ago, or from all that wait where the episode ended."""
        tail = self._tails.setdefault(i, [])
        tail.append(step)
        if step.last:
            return _finish(tail, v_t, table)
        return [_towards(tail, v_t, table)] if len(tail) == self._n_step else []

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Learn from all that wait, whose returns end here."""
        tail = self._tails.get(i)
        return _finish(tail, worth(tail[-1]), table) if tail else []

    def state_dict(self) -> State:
        """Return the steps that wait."""
        return {"tails": [[i, [plain(step) for step in tail]] for i, tail in self._tails.items()]}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._tails = {int(i): [from_plain(step) for step in tail] for i, tail in state["tails"]}


def _finish(tail: list[Step], v_t: float, table: Table) -> list[float]:
    return [_towards(tail, v_t, table) for _ in range(len(tail))]


def _towards(tail: list[Step], v_t: float, table: Table) -> float:
    """Move the value of the first step in `tail`, taking it out, towards its return."""
    target = v_t
    for step in reversed(tail):
        target = td_target(step.r_t, step.discount_t, target)
    first = tail.pop(0)
    error = target - table.values.item(first.s_tm1, first.a_tm1)
    table.visit(first.s_tm1, first.a_tm1)
    table.move(first.s_tm1, first.a_tm1, error)
    return float(error)


class Traces:
    """Earlier steps of an episode learn too, the less the longer ago, by replacing traces.

    Source: Sutton & Barto, 2nd ed., sections 12.2 and 12.5; 1st ed., section 7.8 for what replaces.
    """

    reaches_back = True
    FAINT = 1e-9
    """Traces below this are dropped."""

    def __init__(self, trace_decay: float):
        """Let traces fade by `trace_decay`, beside the discount."""
        self._decay = trace_decay
        self._traces: dict[int, dict[tuple[int, int], float]] = {}

    def spread(self, i: int, step: Step, v_t: float, table: Table) -> list[float]:
        """Learn from the step's error in all that left a trace."""
        pair = (step.s_tm1, step.a_tm1)
        error: float = td_error(table.values.item(*pair), step.r_t, step.discount_t, v_t)
        traces = self._traces.setdefault(i, {})
        traces[pair] = 1.0
        table.visit(*pair)
        for (s, a), trace in traces.items():
            table.move(s, a, trace * error)
        fading = abs(step.discount_t) * self._decay
        kept = {} if step.last else {other: fading * trace for other, trace in traces.items()}
        self._traces[i] = {other: trace for other, trace in kept.items() if trace > self.FAINT}
        return [error]

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Forget the traces."""
        self._traces.pop(i, None)
        return []

    def state_dict(self) -> State:
        """Return the traces."""
        return {"traces": [[i, [[*pair, value] for pair, value in own.items()]] for i, own in self._traces.items()]}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._traces = {int(i): {(int(s), int(a)): float(v) for s, a, v in own} for i, own in state["traces"]}


def plain(step: Step) -> list[Any]:
    """Return a step as plain data."""
    return list(step)


def from_plain(values: Sequence[Any]) -> Step:
    """Return the step that `plain` gave."""
    return Step(*values)


def first_visits(steps: Sequence[Step]) -> Iterator[int]:
    """Yield the places in an episode at which a state and action come for the first time."""
    seen: set[tuple[int, int]] = set()
    for t, step in enumerate(steps):
        pair = (step.s_tm1, step.a_tm1)
        if pair not in seen:
            seen.add(pair)
            yield t


def returns_of(steps: Sequence[Step], v_t: float) -> list[float]:
    """Return the discounted return from each step of an episode on, whose last successor is worth `v_t`."""
    found = []
    for step in reversed(steps):
        v_t = td_target(step.r_t, step.discount_t, v_t)
        found.append(v_t)
    return found[::-1]
