"""Value iteration state by state, in a good order, for large MDPs (Sutton & Barto, 2nd ed., sections 4.5 and 8.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from rlkit.core.types import Array, RunError, UsageError
from rlkit.planning.mdp.evaluation import action_values, never_ending, not_converged, uniform_policy
from rlkit.planning.mdp.iteration import TIE, Plan, best_values, plan_of
from rlkit.planning.mdp.model import FiniteMDP

BACKUPS_PER_STATE = 100_000
"""Backups of a state after which values are regarded as not converging."""


def ordered_value_iteration(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float,
    values: Array | None = None,
    max_sweeps: int = BACKUPS_PER_STATE,
    tolerance: float = TIE,
    compiled: bool = True,
) -> Plan:
    """Sweep in place, in the order in which prioritized sweeping would first come to each state (section 4.5).

    Values begin so low that they only rise, and what is known at the ends passes through all states in one sweep: a
    maze takes a few sweeps where sweeps in any order take as many as its longest way has cells.

    Args:
        mdp: to be solved.
        gamma: discount factor.
        theta: the largest change of the last sweep is below it.
        values: [S] to begin with; None: a lower bound.
        max_sweeps: at most.
        tolerance: see `TIE`.
        compiled: by numba, which takes seconds at first use; else in Python, the oracle of the compiled twin.

    Raises:
        UsageError: gamma is 1 and there is a state from which no policy ends.
        RunError: `max_sweeps` were not enough.
    """
    v = _lower_bound(mdp, gamma) if values is None else np.array(values, np.float64)
    arrays = _backups(mdp)
    # Each state once: that leaves the order, and in a maze without slipping the solution.
    order = np.full(mdp.num_states, -1)
    visit, solve = (_compiled(function) if compiled else function for function in TWINS)
    visit(v, _error(mdp, v, gamma), order, *arrays, *_sources(mdp), mdp.num_actions, gamma, theta, 1)
    order = _complete(order)
    sweeps, change = solve(v, order, *arrays, mdp.num_actions, gamma, theta, max_sweeps)
    if change >= theta:
        raise not_converged("value iteration", max_sweeps, change, theta)
    return plan_of(mdp, v, int(sweeps), gamma=gamma, tolerance=tolerance)


def _complete(order: Array) -> Array:
    """Return all states [S], those first that `order` [S] names before its -1."""
    named = order[order >= 0]
    return np.concatenate([named, np.setdiff1d(np.arange(len(order)), named)])


def prioritized_sweeping(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float,
    values: Array | None = None,
    tolerance: float = TIE,
    compiled: bool = True,
) -> Plan:
    """Back up the state with the largest Bellman error, until none is above `theta`.

    Values begin so low that they only rise, from the ends backwards: in a maze without slipping each state is backed
    up once. `Plan.iterations` counts backups of single states. Source: Sutton & Barto, section 8.4; Moore & Atkeson,
    1993.

    Args:
        mdp: to be solved.
        gamma: discount factor.
        theta: no value differs by more from the best of its action values at the end.
        values: [S] to begin with; None: a lower bound.
        tolerance: see `TIE`.
        compiled: by numba, which takes seconds at first use; else in Python, the oracle of the compiled twin.

    Raises:
        UsageError: gamma is 1 and there is a state from which no policy ends.
        RunError: values do not converge, as with gamma 1 and a loop of positive reward.
    """
    v = _lower_bound(mdp, gamma) if values is None else np.array(values, np.float64)
    sweep = _compiled(TWINS[0]) if compiled else TWINS[0]
    limit = BACKUPS_PER_STATE
    order = np.full(mdp.num_states, -1)
    arrays = (order, *_backups(mdp), *_sources(mdp))
    backups = int(sweep(v, _error(mdp, v, gamma), *arrays, mdp.num_actions, gamma, theta, limit))
    if backups < 0:
        raise RunError(
            f"prioritized sweeping backed up a state {limit} times and did not reach theta {theta:g}; "
            "take a gamma below 1 or a larger theta"
        )
    return plan_of(mdp, v, backups, gamma=gamma, tolerance=tolerance)


def _lower_bound(mdp: FiniteMDP, gamma: float) -> Array:
    if gamma < 1:
        # A policy that always chooses the greatest reward never gets less than this.
        least = min(0.0, float(best_values(mdp, mdp.expected_reward).min()))
        return np.full(mdp.num_states, least / (1 - gamma))
    endless = never_ending(_predecessors(mdp, uniform_policy(mdp)).T)
    if len(endless):
        raise UsageError(f"gamma is 1 and no policy ends from state {endless[0]}; set a gamma below 1")
    return np.full(mdp.num_states, min(0.0, float(mdp.expected_reward[mdp.mask].min())) * mdp.num_states)


def _predecessors(mdp: FiniteMDP, weights: Array) -> Any:
    """Return the matrix [S, S] whose row s' holds the states s from which an action leads to s'."""
    from scipy.sparse import csr_array

    size = mdp.mask.size
    actions = np.arange(0, size + 1, mdp.num_actions)
    choices = csr_array((weights.ravel(), np.arange(size), actions), shape=(mdp.num_states, size))
    return (choices @ mdp.continuation).T.tocsr()


def _backups(mdp: FiniteMDP) -> tuple[Array, ...]:
    """Return the arrays of which backups are made: rewards, probabilities, next states, and where each row begins."""
    following = mdp.continuation
    reward = np.where(mdp.mask, mdp.expected_reward, -np.inf).ravel()
    return reward, following.data, following.indices.astype(np.int64), following.indptr.astype(np.int64)


def _sources(mdp: FiniteMDP) -> tuple[Array, Array]:
    before = _predecessors(mdp, np.ones(mdp.mask.shape))
    return before.indices.astype(np.int64), before.indptr.astype(np.int64)


def _error(mdp: FiniteMDP, values: Array, gamma: float) -> Array:
    """Return by how much each value [S] differs from the best of its action values."""
    return np.asarray(np.abs(best_values(mdp, action_values(mdp, values, gamma=gamma)) - values))


def _solve(
    values: Array,  # [S], changed in place
    order: Array,  # [S]
    reward: Array,  # [S * A], -inf where illegal
    probability: Array,  # of each transition, those of row s * A + a from first[s * A + a] on
    next_state: Array,
    first: Array,
    num_actions: int,
    gamma: float,
    theta: float,
    max_sweeps: int,
) -> tuple[int, float]:
    """Return the number of sweeps and the largest change of the last one. Runs in Python and compiled."""
    change = np.inf
    sweeps = 0
    while change >= theta and sweeps < max_sweeps:
        change = 0.0
        sweeps += 1
        for state in order:
            best = -np.inf
            for row in range(state * num_actions, (state + 1) * num_actions):
                value = 0.0
                for k in range(first[row], first[row + 1]):
                    value += probability[k] * values[next_state[k]]
                best = max(best, reward[row] + gamma * value)
            change = max(change, abs(best - values[state]))
            values[state] = best
    return sweeps, change


def _sweep(
    values: Array,  # [S], changed in place
    priority: Array,  # [S], changed in place
    order: Array,  # [S] of -1: gets the states in the order of their first backups
    reward: Array,  # as in `_solve`
    probability: Array,
    next_state: Array,
    first: Array,
    predecessor: Array,  # those of state s from first_predecessor[s] on
    first_predecessor: Array,
    num_actions: int,
    gamma: float,
    theta: float,
    limit: int,
) -> int:
    """Back up each state at most `limit` times; return how many backups that were, or -1 where it did not suffice.

    With a limit of 1 that is no failure. Runs in Python and compiled.
    """

    def backup(state: int) -> float:
        best = -np.inf
        for row in range(state * num_actions, (state + 1) * num_actions):
            value = 0.0
            for k in range(first[row], first[row + 1]):
                value += probability[k] * values[next_state[k]]
            best = max(best, reward[row] + gamma * value)
        return best

    heap = [(-priority[state], state) for state in range(len(values)) if priority[state] > theta]
    heapify(heap)
    count = np.zeros(len(values), np.int64)
    backups = 0
    seen = 0
    while heap:
        urgency, state = heappop(heap)
        # An entry that was overtaken by a more urgent one of the same state.
        if -urgency != priority[state]:
            continue
        priority[state] = 0.0
        if count[state] == limit:
            if limit > 1:
                return -1
            continue
        if count[state] == 0:
            order[seen] = state
            seen += 1
        count[state] += 1
        values[state] = backup(state)
        backups += 1
        for k in range(first_predecessor[state], first_predecessor[state + 1]):
            before = predecessor[k]
            error = abs(backup(before) - values[before])
            if error > theta and error > priority[before]:
                priority[before] = error
                heappush(heap, (-error, before))
    return backups


TWINS: tuple[Callable[..., Any], Callable[..., Any]] = (_sweep, _solve)
"""What runs in Python and compiled; the signatures would not fit tuples of arrays."""


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from rlkit.core.compiling import entry

    return entry()(function)
