"""The inner loops of matrix factorization, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rlkit.core.compiling import entry
from rlkit.core.types import Array

F = TypeVar("F", bound=Callable[..., Any])

# A dot product may be summed in any order, which is what lets it use vector instructions.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}

compiled: Callable[[F], F] = entry(**OPTIONS)


@compiled
def descend(
    order: Array,
    users: Array,
    items: Array,
    ratings: Array,
    p: Array,
    q: Array,
    p_bias: Array,
    q_bias: Array,
    lr: float,
    decay: float,
    biased: bool,
) -> None:
    """Take one step down the gradient for each rating, in place; both rows move from where they were before it.

    Args:
        order: [R] in which the ratings come.
        users: [R] rows of `p`.
        items: [R] rows of `q`.
        ratings: [R] less their mean.
        p: [U, K] factors of users.
        q: [I, K] factors of items.
        p_bias: [U].
        q_bias: [I].
        lr: learning rate.
        decay: weight of the squared factors of a rating; of the biases too.
        biased: the biases are learned.
    """
    kept = 1.0 - lr * decay
    for t in order:
        u, i = users[t], items[t]
        predicted = p_bias[u] + q_bias[i]
        for f in range(p.shape[1]):
            predicted += p[u, f] * q[i, f]
        error = ratings[t] - predicted
        step = lr * error
        for f in range(p.shape[1]):
            user, item = p[u, f], q[i, f]
            p[u, f] = kept * user + step * item
            q[i, f] = kept * item + step * user
        if biased:
            p_bias[u] += lr * (error - decay * p_bias[u])
            q_bias[i] += lr * (error - decay * q_bias[i])


@compiled
def shuffled(ends: Array, rows: Array, rng: Any) -> Array:
    """Return an order [R] of the ratings: row after row as `rows` has them, those of a row in random order.

    A row's factors stay in the processor's cache as long as they are needed, which an order without rows would undo.

    Args:
        ends: [U + 1] int64 where each row's ratings begin and end.
        rows: [U] int64 in which order the rows come.
        rng: a NumPy generator.
    """
    order, first = np.empty(ends[-1], np.int64), 0
    for row in rows:
        for t in range(ends[row], ends[row + 1]):
            n = t - ends[row]
            other = first + int(rng.random() * (n + 1))
            order[first + n] = order[other]
            order[other] = t
        first += ends[row + 1] - ends[row]
    return order


@compiled
def unrated(ends: Array, items: Array, number: int, negatives: int, rng: Any) -> Array:
    """Return items [R * negatives] that the user of each rating has not rated, all as likely; -1 where there is none.

    Args:
        ends: [U + 1] int64 where each user's ratings begin and end.
        items: [R] int64, those of a user in order.
        number: I, of all items.
        negatives: for each rating.
        rng: a NumPy generator.
    """
    found = np.full(ends[-1] * negatives, -1)
    for user in range(len(ends) - 1):
        rated = items[ends[user] : ends[user + 1]]
        if len(rated) == number:
            continue
        for t in range(ends[user] * negatives, ends[user + 1] * negatives):
            while True:
                item = int(rng.random() * number)
                place = np.searchsorted(rated, item)
                if place == len(rated) or rated[place] != item:
                    break
            found[t] = item
    return found


@compiled
def predictions(users: Array, items: Array, p: Array, q: Array, p_bias: Array, q_bias: Array) -> Array:
    """Return the predictions [R] of ratings less their mean; arguments as in `descend`."""
    found = np.empty(len(users))
    for t in range(len(users)):
        u, i = users[t], items[t]
        predicted = p_bias[u] + q_bias[i]
        for f in range(p.shape[1]):
            predicted += p[u, f] * q[i, f]
        found[t] = predicted
    return found
