"""Schedules: values that depend on the number of agent decisions made, and periods of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Annotated, Protocol

from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveShare, Probability, Range
from rlkit.core.types import FromRun, UsageError, require_probability


class Schedule(Protocol):
    """A value that depends on the number of agent decisions made."""

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""


ProbabilitySchedule = Annotated[Schedule, Range(0, 1)]
RateSchedule = Annotated[Schedule, Range(0)]
"""Schedules whose values lie in a range, at the first step and in the end."""


@dataclass(frozen=True)
class Constant:
    """Always `value`."""

    value: float

    def __call__(self, step: int) -> float:
        """Return the value, whatever the step."""
        return self.value


@dataclass(frozen=True)
class Linear:
    """From `start` to `end` in a straight line over `steps` decisions, then `end`."""

    start: float
    end: float
    steps: NonNegativeInt

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.end if step >= self.steps else self.start + (self.end - self.start) * step / self.steps


class OverRun:
    """From `start` to `end` in a straight line over a share of the run; a longer run on resume stretches it."""

    def __init__(
        self,
        start: float,
        end: float,
        total_steps: FromRun[int | None],
        steps: int | None = None,
        share: PositiveShare = 1.0,
    ):
        """Make the schedule.

        Args:
            start: at step 0.
            end: at the end of the share, and after it.
            total_steps: decisions of the run.
            steps: decisions instead of `total_steps`; None: those.
            share: of these decisions, over which the line goes.

        Raises:
            UsageError: neither is known.
        """
        length = total_steps if steps is None else steps
        if length is None:
            raise UsageError("a schedule over the run needs total_steps, or steps of its own")
        self._line = Linear(start, end, round(share * length))

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self._line(step)


class Cosine(OverRun):
    """From `start` to `end` along half a cosine over the whole run (Loshchilov & Hutter, 2017), as `OverRun`."""

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        start, end, steps = self._line.start, self._line.end, self._line.steps
        return end if step >= steps else end + (start - end) * (1 + cos(pi * step / steps)) / 2


@dataclass(frozen=True)
class DelayedLinear:
    """`start` for `delay` decisions, e.g. while a replay fills, then `Linear`."""

    start: float
    end: float
    steps: NonNegativeInt
    delay: NonNegativeInt

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return Linear(self.start, self.end, self.steps)(max(0, step - self.delay))


@dataclass(frozen=True)
class Exponential:
    """``end + (start - end) * exp(-rate * step)``: a decay that approaches `end`."""

    start: float
    end: float
    rate: NonNegativeFloat

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.end + (self.start - self.end) * exp(-self.rate * step)


@dataclass(frozen=True)
class Multiplicative:
    """``max(end, start * factor ** step)``: multiplied by `factor` at each decision, down to `end`."""

    start: float
    end: float
    factor: Probability

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return max(self.end, self.start * self.factor**step)


@dataclass(frozen=True)
class Annealed:
    """The value of `schedule`, times the fraction of `steps` decisions that is left."""

    schedule: Schedule
    steps: int

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.schedule(step) * max(0.0, 1 - step / self.steps)


def multiples(before: int, after: int, every: int, *, first: int = 0) -> int:
    """Return how many multiples of `every` lie in (before, after] and are no less than `first`.

    N environments pass several at once: what is due at each is due as often, however many there are.
    """
    return max(0, after // every - max(before, first - 1) // every)


def require_probabilities(name: str, schedule: Schedule) -> Schedule:
    """Return a schedule of probabilities, such as epsilon, if its first and last values are probabilities.

    Raises:
        UsageError: one of them is not; the message has `name`, that of the setting.
    """
    for step in (0, sys.maxsize):
        require_probability(f"{name} at step {step}" if step == 0 else f"{name} in the end", schedule(step))
    return schedule


def annealed(value: float | Schedule, *, anneal: bool, total_steps: int | None) -> Schedule:
    """Return a number or a schedule as a schedule, annealed to 0 over `total_steps` if `anneal`.

    Raises:
        UsageError: `anneal` without `total_steps`, or of a schedule, which decays by itself; or `value` is text.
    """
    if isinstance(value, str):
        raise UsageError(f"agent.learning_rate is {value!r}; it must be a number or a schedule")
    schedule = Constant(value) if isinstance(value, int | float) else value
    if not anneal:
        return schedule
    if not isinstance(value, int | float):
        raise UsageError(
            "agent.anneal=true lets a number fall to 0, and agent.learning_rate is a schedule; set agent.anneal=false"
        )
    if total_steps is None:
        raise UsageError("anneal=true needs total_steps, at which the rate is 0; set both or neither")
    return Annealed(schedule, total_steps)
