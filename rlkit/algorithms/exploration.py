"""Exploration: greedy and epsilon-greedy actions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from math import isnan

import numpy as np

from rlkit.core.divergence import diverged
from rlkit.core.random_actions import uniform
from rlkit.core.types import Array

NO_NUMBER = "an action's value is not a number"


def warn_if_late(first: int, total_steps: int | None, notify: Callable[[str], None]) -> None:
    """Warn by `notify` of a run of `total_steps` decisions that ends before its first update, due after `first`."""
    if total_steps is not None and first > total_steps:
        notify(
            f"nothing will be learned: the first update comes after {first:,} steps, and total_steps is {total_steps:,}"
        )


def greedy(q: Array, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return the best action [N] int64 of each row of `q` [N, A], ties broken at random, illegal ones left out.

    Raises:
        DivergedError: there is no best one, as a value is not a number.
    """
    if q.size <= FEW:
        return _greedy_of_few(q, rng, legal_actions)
    if legal_actions is not None:
        q = np.where(legal_actions, q, -np.inf)
    best = q == q.max(axis=1, keepdims=True)
    if legal_actions is not None:
        # The value of a legal action may be minus infinity, too.
        best &= legal_actions
    if not best.any(axis=1).all():
        raise diverged(NO_NUMBER)
    if np.count_nonzero(best) > len(q):
        return np.asarray((rng.random(q.shape) * best).argmax(axis=1))
    return np.asarray(best.argmax(axis=1))


FEW = 64
"""Up to so many action values, Python's own numbers are faster than NumPy's."""


def _greedy_of_few(q: Array, rng: np.random.Generator, legal_actions: Array | None) -> Array:
    """Return what `greedy` does, by the same draws."""
    masks = repeat(None) if legal_actions is None else legal_actions.tolist()
    best = list(map(_best, q.tolist(), masks))
    if max(map(len, best), default=1) == 1:
        return np.array(best, np.int64).reshape(-1)
    drawn = rng.random(q.shape).tolist()
    return np.array([max(actions, key=row.__getitem__) for actions, row in zip(best, drawn, strict=True)])


def _best(row: list[float], mask: list[bool] | None) -> list[int]:
    """Return the actions of the largest value in a row [A], among those in `mask` [A]."""
    legal = range(len(row)) if mask is None else [action for action, is_legal in enumerate(mask) if is_legal]
    values = row if mask is None else [row[action] for action in legal]
    if not values or (isnan(sum(values)) and any(map(isnan, values))):
        raise diverged(NO_NUMBER)
    top = max(values)
    if mask is None and row.count(top) == 1:
        return [row.index(top)]
    return [action for action in legal if row[action] == top]


def epsilon_greedy(q: Array, epsilon: float, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return an action [N] for each row of `q` [N, A]: any of the A with probability epsilon, else the greedy one.

    So the greedy action has probability ``1 - epsilon + epsilon / A`` (Sutton & Barto, 2nd ed., section 5.4);
    with `legal_actions` [N, A] bool, A counts the legal ones of the row.
    """
    action = greedy(q, rng, legal_actions)
    if epsilon <= 0:
        return action
    drawn = rng.random(len(q))
    if min(drawn.tolist(), default=1.0) >= epsilon:
        return action
    exploring = np.flatnonzero(drawn < epsilon)
    if legal_actions is None:
        action[exploring] = rng.integers(q.shape[1], size=exploring.size)
    else:
        action[exploring] = uniform(q.shape[1], exploring.size, rng, legal_actions[exploring])
    return action


def epsilon_greedy_by_row(
    q: Array, epsilon: Array, rng: np.random.Generator, legal_actions: Array | None = None
) -> Array:
    """Return as `epsilon_greedy` an action [N], with a probability `epsilon` [N] of each row's own."""
    legal = [None] * len(q) if legal_actions is None else [row[None] for row in legal_actions]
    rows = zip(q, epsilon.tolist(), legal, strict=True)
    return np.concatenate([epsilon_greedy(row[None], share, rng, mask) for row, share, mask in rows])
