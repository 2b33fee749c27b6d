"""Steps of one environment, and which of them learn from the newest: n-step returns, eligibility traces, SARSA's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rlkit.core.types import Array, State, UsageError


class Step(NamedTuple):
    """One step of one environment as Python's own numbers, which one by one are several times as fast as NumPy's."""

    s_tm1: int
    a_tm1: int
    r_t: float
    discount_t: float  # gamma included
    s_t: int
    last: bool
    legal_tm1: Array | None  # [A] bool, of s_tm1
    legal_t: Array | None  # [A] bool, of s_t
    a_t: int | None = None  # SARSA's next action; None where none was taken, or nobody asks


def restored(values: Sequence[Any]) -> Step:
    """Return the step of which `plain` made `values`.

    Raises:
        TypeError, ValueError: they are none of a step.
    """
    s_tm1, a_tm1, r_t, discount_t, s_t, last, *masks = values
    return Step(int(s_tm1), int(a_tm1), float(r_t), float(discount_t), int(s_t), bool(last), *masks)


def plain(step: Step) -> list[Any]:
    """Return a step as plain data, but for `a_t`, which is used once it is known and never again."""
    return list(step[:-1])


class ValueTable(Protocol):
    """What learns: see `rlkit.algorithms.tabular.control.QTable`."""

    def update(self, s: int, a: int, target: float) -> float:
        """Count a visit of `a` in `s`, move its value towards `target` and return the TD error."""

    def add(self, s: int, a: int, error: float) -> None:
        """Move the value of `a` in `s` by the learning rate times `error`."""


class Traces(Protocol):
    """How earlier steps of an episode learn from the newest one."""

    def update(self, q: ValueTable, i: int, step: Step, target: float) -> list[float]:
        """Learn from a step of environment `i` and its one-step target; return the TD errors."""

    def reset(self, q: ValueTable, i: int, target: Callable[[Step], float]) -> list[float]:
        """Let no earlier step of environment `i` learn from what comes now; return the TD errors.

        `target` gives the one-step target of a step, by the values as they are now.
        """

    def state_dict(self) -> State:
        """Return the steps that still learn."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


def make_traces(n_step: int, trace_decay: float) -> NStepReturns | EligibilityTraces | None:
    """Return n-step returns where `n_step` is above 1, traces where `trace_decay` is above 0, and else None.

    Raises:
        UsageError: both, or a value out of its range.
    """
    if n_step < 1 or not 0 <= trace_decay <= 1 or (n_step > 1 and trace_decay > 0):
        raise UsageError(
            f"agent.n_step is {n_step} and agent.trace_decay {trace_decay}; take either n_step of at least 1 and "
            "trace_decay=0, or n_step=1 and trace_decay up to 1"
        )
    return EligibilityTraces(trace_decay) if trace_decay > 0 else NStepReturns(n_step) if n_step > 1 else None


class NStepReturns:
    """Each step learns from the rewards of up to n steps (Sutton & Barto, 2nd ed., chapter 7).

    Attributes:
        n_step: how many.
    """

    def __init__(self, n_step: int):
        """Wait for `n_step` steps."""
        self.n_step = n_step
        self._tails: dict[int, list[Step]] = {}

    def update(self, q: ValueTable, i: int, step: Step, target: float) -> list[float]:
        """Let the step n steps ago learn, or all that wait where the episode ended; return the TD errors."""
        tail = self._tails.setdefault(i, [])
        tail.append(step)
        if step.last:
            return self._finish(q, tail, target)
        return [self._learn(q, tail, target)] if len(tail) == self.n_step else []

    def reset(self, q: ValueTable, i: int, target: Callable[[Step], float]) -> list[float]:
        """Let all that wait learn, whose returns end here; return the TD errors."""
        tail = self._tails.get(i)
        return self._finish(q, tail, target(tail[-1])) if tail else []

    def _finish(self, q: ValueTable, tail: list[Step], target: float) -> list[float]:
        return [self._learn(q, tail, target) for _ in range(len(tail))]

    def _learn(self, q: ValueTable, tail: list[Step], target: float) -> float:
        """Move the value of the first step in `tail`, taking it out, towards its return."""
        for step in tail[-2::-1]:
            target = step.r_t + step.discount_t * target
        first = tail.pop(0)
        return q.update(first.s_tm1, first.a_tm1, target)

    def state_dict(self) -> State:
        """Return the steps that wait."""
        return {"tails": [[i, [plain(step) for step in tail]] for i, tail in sorted(self._tails.items()) if tail]}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._tails = {int(i): [restored(step) for step in tail] for i, tail in state["tails"]}


class EligibilityTraces:
    """Earlier steps of an episode learn too, the less the longer ago, by replacing traces.

    A trace fades by ``gamma * lambda * discount``, sign included: where the turn passed since, what the other side
    gains is lost to whoever left the trace. What is done again leaves 1, whatever its trace was, and whoever's turn it
    was: a value is always its own mover's.

    Source: Sutton & Barto, 2nd ed., sections 12.2 and 12.5; 1st ed., section 7.8 for what replaces.

    Attributes:
        trace_decay: lambda.
    """

    FAINT = 1e-9
    """Traces nearer to 0 than this are dropped."""

    def __init__(self, trace_decay: float):
        """Let traces fade by `trace_decay`, beside the discount."""
        self.trace_decay = trace_decay
        self._traces: dict[int, dict[tuple[int, int], float]] = {}

    def update(self, q: ValueTable, i: int, step: Step, target: float) -> list[float]:
        """Learn from the step's TD error in all that left a trace, and return it."""
        traces, pair = self._traces.setdefault(i, {}), (step.s_tm1, step.a_tm1)
        td_error = q.update(*pair, target)
        for (s, a), trace in traces.items():
            if (s, a) != pair:
                q.add(s, a, trace * td_error)
        traces[pair] = 1.0
        fading = step.discount_t * self.trace_decay
        faded = {} if step.last else {other: fading * trace for other, trace in traces.items()}
        self._traces[i] = {other: trace for other, trace in faded.items() if abs(trace) > self.FAINT}
        return [td_error]

    def reset(self, q: ValueTable, i: int, target: Callable[[Step], float]) -> list[float]:
        """Drop the traces of environment `i`."""
        self._traces.pop(i, None)
        return []

    def state_dict(self) -> State:
        """Return the traces."""
        kept = {i: own for i, own in sorted(self._traces.items()) if own}
        return {"traces": [[i, [[*pair, value] for pair, value in own.items()]] for i, own in kept.items()]}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._traces = {int(i): {(int(s), int(a)): float(v) for s, a, v in own} for i, own in state["traces"]}


class SarsaStep(Protocol):
    """A step as a NamedTuple whose last field is `a_t`."""

    @property
    def a_tm1(self) -> int:
        """The action taken."""

    @property
    def last(self) -> bool:
        """Whether the episode ended."""

    def _replace(self: S, *, a_t: int) -> S:
        """Return the step with the next action filled in."""

    def __getitem__(self, key: slice) -> Sequence[Any]:
        """Return some of the fields."""


S = TypeVar("S", bound=SarsaStep)


class PendingSteps(Generic[S]):
    """The newest step of each environment, which SARSA learns from when the next action is known."""

    def __init__(self, kind: Callable[..., S]):
        """Hold steps of `kind`."""
        self._kind = kind
        self._steps: dict[int, S] = {}

    def swap(self, i: int, step: S) -> list[S]:
        """Hold a step of environment `i` and return those that can learn now, `a_t` filled in.

        It stays None where an episode ended: nothing was done in its last state.
        """
        before = self._steps.pop(i, None)
        ready = [] if before is None else [before._replace(a_t=step.a_tm1)]
        if step.last:
            return [*ready, step]
        self._steps[i] = step
        return ready

    def state_dict(self) -> State:
        """Return the steps that are pending."""
        return {"steps": [[i, list(step[:-1])] for i, step in self._steps.items()]}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._steps = {int(i): self._kind(*step) for i, step in state["steps"]}
