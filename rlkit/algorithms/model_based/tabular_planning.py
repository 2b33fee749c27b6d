"""Updates of action values from a sample model, one after the other: drawn by chance, or in the order of their urgency.

The functions run compiled by numba, and in Python as ``plan.py_func``, with the same result bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np

from rlkit.algorithms.model_based.outcomes import NONE, Outcomes
from rlkit.core.compiling import entry
from rlkit.core.types import Array

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {"error_model": "python"}
inlined: Callable[[F], F] = numba.njit(**OPTIONS)


class RatedTable(NamedTuple):
    """Action values and how they move: see `rlkit.algorithms.tabular.control.QTable`."""

    values: Array  # [S, A] float64, changed in place
    visits: Array  # [S, A] int64, changed in place
    rate: float
    rate_decay: float


class Predecessors(NamedTuple):
    """From which states and actions the model leads to each state: a list for each, doubly linked, changed in place.

    A place of the model, (s * A + a) * K + k, is in the list of the state that it leads to.
    """

    first: Array  # [S] int64, of each state's list
    following: Array  # [S * A * K] int64
    preceding: Array  # [S * A * K] int64


class Queue(NamedTuple):
    """Pairs s * A + a by priority, the largest first, of equals the lower: a binary heap, changed in place."""

    priority: Array  # [S * A] float64; 0: it is not in the queue
    heap: Array  # [S * A] int64, of pairs
    place: Array  # [S * A] int64, of a pair in the heap
    size: Array  # [1] int64


def make_predecessors(states: int, places: int) -> Predecessors:
    """Return empty lists."""
    return Predecessors(*(np.full(size, NONE, np.int64) for size in (states, places, places)))


def make_queue(pairs: int) -> Queue:
    """Return an empty queue for pairs below a number."""
    return Queue(np.zeros(pairs), np.zeros(pairs, np.int64), np.zeros(pairs, np.int64), np.zeros(1, np.int64))


@inlined
def best(table: RatedTable, model: Outcomes, s: int) -> float:
    """Return max_a Q(s, a) over legal actions; 0 where none is."""
    found = -np.inf
    for a in range(table.values.shape[1]):
        if model.legal[s, a] and table.values[s, a] > found:
            found = table.values[s, a]
    return 0.0 if found == -np.inf else found


@inlined
def move(table: RatedTable, s: int, a: int, target: float) -> None:
    """Count a visit and move Q(s, a) towards a target."""
    n = table.visits[s, a] + 1
    table.visits[s, a] = n
    rate = table.rate * float(n) ** -table.rate_decay
    table.values[s, a] += rate * (target - table.values[s, a])


@inlined
def drawn_action(model: Outcomes, s: int, untried: bool, rng: np.random.Generator) -> int:
    """Return an action that was tried in `s`, or is legal there where `untried` ones may be drawn, too."""
    actions = model.tries.shape[1]
    number = 0
    for a in range(actions):
        number += model.tries[s, a] > 0 or (untried and model.legal[s, a])
    left = rng.integers(0, number)
    for a in range(actions):
        if model.tries[s, a] > 0 or (untried and model.legal[s, a]):
            if left == 0:
                return a
            left -= 1
    return actions - 1


@entry()
def plan(table: RatedTable, model: Outcomes, steps: int, bonus: float, untried: bool, rng: np.random.Generator) -> None:
    """Learn from `steps` outcomes drawn from a model that knows of some (Dyna-Q, section 8.2).

    Args:
        table: learns.
        model: tells.
        steps: how many.
        bonus: kappa: a reward grows by kappa times the root of the steps since the action was tried (section 8.3).
        untried: actions that were never tried are drawn, too.
        rng: draws states, actions and outcomes.
    """
    for _ in range(steps):
        s = model.seen[rng.integers(0, model.clock[0])]
        a = drawn_action(model, s, untried, rng)
        kept = min(model.tries[s, a], model.reward.shape[2])
        k = rng.integers(0, kept) if kept > 1 else 0
        target = model.reward[s, a, k] + bonus * math.sqrt(model.clock[1] - model.tried_at[s, a])
        move(table, s, a, target + model.discount[s, a, k] * best(table, model, model.next_state[s, a, k]))


@inlined
def expected_target(table: RatedTable, model: Outcomes, s: int, a: int) -> float:
    """Return the mean over the outcomes that are kept of ``r + discount max_a' Q(s', a')``."""
    kept = min(model.tries[s, a], model.reward.shape[2])
    total = 0.0
    for k in range(kept):
        value = best(table, model, model.next_state[s, a, k])
        total += model.reward[s, a, k] + model.discount[s, a, k] * value
    return total / kept


@inlined
def is_before(queue: Queue, pair: int, other: int) -> bool:
    """Return whether a pair comes before another one."""
    mine, its = queue.priority[pair], queue.priority[other]
    return mine > its or (mine == its and pair < other)


@inlined
def put(queue: Queue, pair: int, place: int) -> None:
    """Note where in the heap a pair is."""
    queue.heap[place], queue.place[pair] = pair, place


@inlined
def raise_priority(queue: Queue, pair: int, priority: float) -> None:
    """Put a pair into the queue, or further to its front; a priority never falls."""
    if priority <= queue.priority[pair]:
        return
    place = queue.place[pair]
    if queue.priority[pair] == 0:
        place = queue.size[0]
        queue.size[0] += 1
    queue.priority[pair] = priority
    while place > 0 and is_before(queue, pair, queue.heap[(place - 1) // 2]):
        put(queue, queue.heap[(place - 1) // 2], place)
        place = (place - 1) // 2
    put(queue, pair, place)


@inlined
def pop(queue: Queue) -> int:
    """Take the first pair out of a queue that has some."""
    top = queue.heap[0]
    queue.priority[top] = 0.0
    queue.size[0] -= 1
    size = queue.size[0]
    moved, place = queue.heap[size], 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and is_before(queue, queue.heap[child + 1], queue.heap[child]):
            child += 1
        if not is_before(queue, queue.heap[child], moved):
            break
        put(queue, queue.heap[child], place)
        place = child
    if size > 0:
        put(queue, moved, place)
    return top


@inlined
def consider(table: RatedTable, model: Outcomes, queue: Queue, s: int, a: int, threshold: float) -> float:
    """Put a pair into the queue where its value is far from its target; return target less value."""
    error = expected_target(table, model, s, a) - table.values[s, a]
    if abs(error) > threshold:
        raise_priority(queue, s * model.tries.shape[1] + a, abs(error))
    return error


@entry()
def sweep(
    table: RatedTable,
    model: Outcomes,
    predecessors: Predecessors,
    queue: Queue,
    s: int,
    a: int,
    threshold: float,
    steps: int,
) -> tuple[float, int]:
    """Learn where values are furthest from what the model says, up to `steps` times (section 8.4).

    Args:
        table: learns.
        model: tells.
        predecessors: of each state in the model.
        queue: what is to be learned.
        s: the state of the last step, whose action may have become urgent.
        a: the action.
        threshold: what is closer to its target is left alone.
        steps: how many updates at most.

    Returns:
        The error of the last step, and how many updates there were.
    """
    actions, kept = model.tries.shape[1], model.reward.shape[2]
    error = consider(table, model, queue, s, a, threshold)
    done = 0
    while done < steps and queue.size[0] > 0:
        pair = pop(queue)
        s, a = pair // actions, pair % actions
        move(table, s, a, expected_target(table, model, s, a))
        consider(table, model, queue, s, a, threshold)
        done += 1
        place = predecessors.first[s]
        while place != NONE:
            before = place // kept
            consider(table, model, queue, before // actions, before % actions, threshold)
            place = predecessors.following[place]
    return error, done


def unlink(predecessors: Predecessors, state: int, place: int) -> None:
    """Take a place of the model out of the list of the state that it led to."""
    before, after = predecessors.preceding[place], predecessors.following[place]
    if before == NONE:
        predecessors.first[state] = after
    else:
        predecessors.following[before] = after
    if after != NONE:
        predecessors.preceding[after] = before


def link(predecessors: Predecessors, state: int, place: int) -> None:
    """Put a place of the model at the front of the list of the state that it leads to."""
    after = predecessors.first[state]
    predecessors.following[place], predecessors.preceding[place] = after, NONE
    predecessors.first[state] = place
    if after != NONE:
        predecessors.preceding[after] = place
