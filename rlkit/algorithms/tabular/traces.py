"""How the error of a step is spread over the steps before it: returns of several steps, and eligibility traces."""

from __future__ import annotations

from typing import Protocol

from rlkit.algorithms.tabular.q_table import Step, Table, Worth, from_plain, plain
from rlkit.core.targets import td_error, td_target
from rlkit.core.types import State, UsageError


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
    """Each step learns from the rewards of up to n steps (Sutton & Barto, 2nd ed., chapter 7).

    Attributes:
        n_step: how many.
    """

    reaches_back = True

    def __init__(self, n_step: int):
        """Wait for `n_step` steps."""
        self.n_step = n_step
        self._tails: dict[int, list[Step]] = {}

    def spread(self, i: int, step: Step, v_t: float, table: Table) -> list[float]:
        """Learn from the step n steps ago, or from all that wait where the episode ended."""
        tail = self._tails.setdefault(i, [])
        tail.append(step)
        if step.last:
            return _finish(tail, v_t, table)
        return [_towards(tail, v_t, table)] if len(tail) == self.n_step else []

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Learn from all that wait, whose returns end here."""
        tail = self._tails.get(i)
        return _finish(tail, worth(tail[-1]), table) if tail else []

    def state_dict(self) -> State:
        """Return the steps that wait."""
        return {"tails": [[i, [plain(step) for step in tail]] for i, tail in sorted(self._tails.items()) if tail]}

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

    A trace fades by ``gamma * lambda * discount``, sign included: where the turn passed since, what the other side
    gains is lost to whoever left the trace. What is done again leaves 1, whatever its trace was, and whoever's turn it
    was: a value is always its own mover's.

    Source: Sutton & Barto, 2nd ed., sections 12.2 and 12.5; 1st ed., section 7.8 for what replaces.

    Attributes:
        trace_decay: lambda.
    """

    reaches_back = True
    FAINT = 1e-9
    """Traces nearer to 0 than this are dropped."""

    def __init__(self, trace_decay: float):
        """Let traces fade by `trace_decay`, beside the discount."""
        self.trace_decay = trace_decay
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
        fading = step.discount_t * self.trace_decay
        kept = {} if step.last else {other: fading * trace for other, trace in traces.items()}
        self._traces[i] = {other: trace for other, trace in kept.items() if abs(trace) > self.FAINT}
        return [error]

    def cut(self, i: int, worth: Worth, table: Table) -> list[float]:
        """Forget the traces."""
        self._traces.pop(i, None)
        return []

    def state_dict(self) -> State:
        """Return the traces."""
        kept = {i: own for i, own in sorted(self._traces.items()) if own}
        return {"traces": [[i, [[*pair, value] for pair, value in own.items()]] for i, own in kept.items()]}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._traces = {int(i): {(int(s), int(a)): float(v) for s, a, v in own} for i, own in state["traces"]}
