"""Prioritised sweeping: value iteration where it makes a difference (Sutton & Barto, 2nd ed., section 8.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from rlkit.core import Array, RunError, UsageError
from rlkit.mdp.evaluation import action_values, never_ending
from rlkit.mdp.iteration import TIE, Plan, best_values, plan_of
from rlkit.mdp.model import FiniteMDP

BACKUPS_PER_STATE = 10_000
"""After so many it is plain that values do not converge."""


def prioritized_sweeping(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float,
    values: Array | None = None,
    tolerance: float = TIE,
    compiled: bool = True,
) -> Plan:
    """Back up the state whose value is furthest from what its actions promise, until none is by more than `theta`.

    Values begin so low that they only rise, from the ends backwards: in a maze each state is backed up about once.
    `Plan.iterations` counts backups of single states.

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
    sweep = _compiled() if compiled else _sweep
    limit = BACKUPS_PER_STATE * mdp.num_states
    backups = int(sweep(v, *_arrays(mdp, v, gamma), mdp.num_actions, gamma, theta, limit))
    if backups > limit:
        raise RunError(
            f"prioritised sweeping made {limit} backups and did not reach theta {theta:g}; "
            "take a gamma below 1 or a larger theta"
        )
    return plan_of(mdp, v, backups, gamma=gamma, tolerance=tolerance)


def _lower_bound(mdp: FiniteMDP, gamma: float) -> Array:
    least = min(0.0, float(mdp.expected_reward.min()))
    if gamma < 1:
        return np.full(mdp.num_states, least / (1 - gamma))
    endless = never_ending(_predecessors(mdp, np.ones(mdp.mask.shape) / mdp.num_actions).T)
    if len(endless):
        raise UsageError(f"gamma is 1 and no policy ends from state {endless[0]}; take a gamma below 1")
    return np.full(mdp.num_states, least * mdp.num_states)


def _predecessors(mdp: FiniteMDP, weights: Array) -> Any:
    """Return the matrix [S, S] whose row s' holds the states s from which an action leads to s'."""
    from scipy.sparse import csr_array

    size = mdp.mask.size
    actions = np.arange(0, size + 1, mdp.num_actions)
    choices = csr_array((weights.ravel(), np.arange(size), actions), shape=(mdp.num_states, size))
    return (choices @ mdp.continuation).T.tocsr()


def _arrays(mdp: FiniteMDP, values: Array, gamma: float) -> tuple[Array, ...]:
    before = _predecessors(mdp, np.ones(mdp.mask.shape))
    following = mdp.continuation
    error = np.abs(best_values(mdp, action_values(mdp, values, gamma=gamma)) - values)
    return (
        error,
        np.where(mdp.mask, mdp.expected_reward, -np.inf).ravel(),
        following.data,
        following.indices.astype(np.int64),
        following.indptr.astype(np.int64),
        before.indices.astype(np.int64),
        before.indptr.astype(np.int64),
    )


def _sweep(
    values: Array,  # [S], changed in place
    priority: Array,  # [S], changed in place
    reward: Array,  # [S * A], -inf where illegal
    probability: Array,  # of each transition, those of row s * A + a from first[s * A + a] on
    next_state: Array,
    first: Array,
    predecessor: Array,  # those of state s from first_predecessor[s] on
    first_predecessor: Array,
    num_actions: int,
    gamma: float,
    theta: float,
    limit: int,
) -> int:
    """Return the number of backups, above `limit` where they did not suffice. Runs in Python and compiled."""

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
    backups = 0
    while heap and backups <= limit:
        urgency, state = heappop(heap)
        # An entry that was overtaken by a more urgent one of the same state.
        if -urgency != priority[state]:
            continue
        values[state] = backup(state)
        priority[state] = 0.0
        backups += 1
        for k in range(first_predecessor[state], first_predecessor[state + 1]):
            before = predecessor[k]
            error = abs(backup(before) - values[before])
            if error > theta and error > priority[before]:
                priority[before] = error
                heappush(heap, (-error, before))
    return backups


@cache
def _compiled() -> Callable[..., int]:
    import numba

    try:
        return numba.njit(cache=True)(_sweep)  # type: ignore[no-any-return]
    except RuntimeError:  # there is no place for a cache: compiled anew in each process
        return numba.njit(_sweep)  # type: ignore[no-any-return]
