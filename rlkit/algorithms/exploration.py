"""Exploration: greedy and epsilon-greedy actions."""

from __future__ import annotations

from collections.abc import Callable

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
        if legal_actions is None:
            action[exploring] = rng.integers(q.shape[1], size=exploring.size)
        else:
            action[exploring] = uniform(q.shape[1], exploring.size, rng, legal_actions[exploring])
    return action


def _rows(masks: Array | None, rows: Array) -> Array | None:
    return None if masks is None else masks[rows]
