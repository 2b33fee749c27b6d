"""Exploration: schedules, epsilon-greedy and uniform actions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, choice_sizes, space_tree
from rlkit.core.types import Array, RunError, Tree, UsageError, require_share


class Schedule(Protocol):
    """A value that depends on the number of agent decisions made."""

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""


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
    steps: int

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.end if step >= self.steps else self.start + (self.end - self.start) * step / self.steps


@dataclass(frozen=True)
class DelayedLinear:
    """`start` for `delay` decisions, as where a replay is filled first, then `Linear`."""

    start: float
    end: float
    steps: int
    delay: int

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return Linear(self.start, self.end, self.steps)(max(0, step - self.delay))


@dataclass(frozen=True)
class Exponential:
    """``end + (start - end) * exp(-rate * step)``: a decay that never quite ends."""

    start: float
    end: float
    rate: float

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.end + (self.start - self.end) * exp(-self.rate * step)


@dataclass(frozen=True)
class Multiplicative:
    """``max(end, start * factor ** step)``: the decay that shrinks by a factor at each decision down to a floor."""

    start: float
    end: float
    factor: float

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return max(self.end, self.start * self.factor**step)


@dataclass(frozen=True)
class Annealed:
    """What `schedule` says, times the share of `steps` decisions that is left."""

    schedule: Schedule
    steps: int

    def __call__(self, step: int) -> float:
        """Return the value at `step`."""
        return self.schedule(step) * max(0.0, 1 - step / self.steps)


def require_shares(name: str, schedule: Schedule) -> Schedule:
    """Return a schedule of shares, such as epsilon, whose first and last values are shares.

    Raises:
        UsageError: one of them is not; `name` is that of the setting.
    """
    for step in (0, sys.maxsize):
        require_share(f"{name} at step {step}" if step == 0 else f"{name} in the end", schedule(step))
    return schedule


def annealed(value: float | Schedule, *, anneal: bool, total_steps: int | None) -> Schedule:
    """Return a number or a schedule as a schedule, annealed to 0 over `total_steps` where that is wanted.

    Raises:
        UsageError: it is wanted, over no known number of steps, or of a schedule, which falls by itself; or `value` is
            a word.
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


def tell_if_late(first: int, total_steps: int | None, tell: Callable[[str], None]) -> None:
    """Tell a user whose run of `total_steps` decisions would be over before the first update, after `first` of them."""
    if total_steps is not None and first > total_steps:
        tell(
            f"nothing will be learnt: the first update comes after {first:,} steps, and total_steps is {total_steps:,}"
        )


def greedy(q: Array, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return the best action [N] int64 of each row of `q` [N, A], ties broken at random, illegal ones left out.

    Raises:
        RunError: there is no best one, as a value is not a number.
    """
    if legal_actions is not None:
        q = np.where(legal_actions, q, -np.inf)
    best = q == q.max(axis=1, keepdims=True)
    if legal_actions is not None:
        # A legal action may be worth minus infinity, too.
        best &= legal_actions
    if not best.any(axis=1).all():
        raise no_number()
    if np.count_nonzero(best) > len(q):
        return np.asarray((rng.random(q.shape) * best).argmax(axis=1))
    return np.asarray(best.argmax(axis=1))


def no_number() -> RunError:
    """Return what to raise where an action's value is NaN: no action is the best, and whichever might not be legal."""
    return RunError(
        "an action's value is not a number: learning has diverged; begin anew with a lower agent.learning_rate, or "
        "smaller rewards"
    )


def epsilon_greedy(q: Array, epsilon: float, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return an action [N] for each row of `q` [N, A]: any of the A with probability epsilon, else the greedy one.

    So the greedy action has probability ``1 - epsilon + epsilon / A`` (Sutton & Barto, 2nd ed., section 5.4);
    with `legal_actions` [N, A] bool, A counts the legal ones of the row.
    """
    action = greedy(q, rng, legal_actions)
    if epsilon <= 0:
        return action
    exploring = np.flatnonzero(rng.random(len(q)) < epsilon)
    if exploring.size:
        action[exploring] = uniform(q.shape[1], exploring.size, rng, _rows(legal_actions, exploring))
    return action


def uniform(num_actions: int, n: int, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return `n` actions [n] int64 drawn uniformly, among `legal_actions` [n, A] where given."""
    if legal_actions is None:
        return rng.integers(num_actions, size=n)
    return np.asarray((rng.random(legal_actions.shape) * legal_actions).argmax(axis=1))


def random_action(space: Any, rng: np.random.Generator, legal_actions: Array | None = None) -> Any:
    """Return one action of `space` drawn from `rng`, among `legal_actions` [A] where given.

    One of a `Discrete` space is counted from zero; the others are as the space has them.
    """
    if isinstance(space, spaces.Discrete):
        return uniform(int(space.n), 1, rng, None if legal_actions is None else legal_actions[None])[0]
    if legal_actions is not None:
        return _legal_choices(space, rng, legal_actions)
    # Gymnasium's spaces draw from generators of their own: seed this one from ours.
    space.seed(int(rng.integers(2**31)))
    return space.sample()


def _legal_choices(space: Any, rng: np.random.Generator, legal_actions: Array) -> Tree:
    """Return a composed action, each choice drawn among its own part of the mask [A]."""
    if isinstance(space, COMPOSED_SPACES):
        parts = space_tree(space)
        sizes = [sum(choice_sizes(part)) for part in tree.leaves(parts)]
        masks = iter(np.split(np.asarray(legal_actions, bool), np.cumsum(sizes)[:-1]))
        return tree.map(lambda part: _legal_part(part, rng, next(masks)), parts)
    parts = np.split(np.asarray(legal_actions, bool), np.cumsum(choice_sizes(space))[:-1])
    drawn = np.array([uniform(len(part), 1, rng, part[None])[0] for part in parts], space.dtype).reshape(space.shape)
    return np.asarray(drawn + space.start if isinstance(space, spaces.MultiDiscrete) else drawn)


def _legal_part(space: Any, rng: np.random.Generator, legal_actions: Array) -> Any:
    """Return a part of a composed action as its space has it."""
    drawn = random_action(space, rng, legal_actions)
    return drawn + space.start if isinstance(space, spaces.Discrete) else drawn


def _rows(masks: Array | None, rows: Array) -> Array | None:
    return None if masks is None else masks[rows]
