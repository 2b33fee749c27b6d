"""Policy evaluation (Sutton & Barto, 2nd ed., section 4.1).

A policy is an array [S, A] of the probabilities with which it chooses each action.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, RunError, UsageError
from rlkit.planning.mdp.model import ROUNDING, FiniteMDP

DENSE = 1_000
"""Up to so many states a dense solver is faster than a sparse one."""

MAX_SWEEPS = 1_000_000
"""Sweeps after which values are regarded as not converging."""


class Evaluation(NamedTuple):
    """The values of a policy."""

    values: Array  # [S] float64
    sweeps: int  # that were needed


def uniform_policy(mdp: FiniteMDP) -> Array:
    """Return the policy [S, A] float64 that chooses every legal action equally often."""
    return np.asarray(mdp.mask / mdp.mask.sum(axis=1, keepdims=True))


def action_values(mdp: FiniteMDP, values: Array, *, gamma: float) -> Array:
    """Return the action values [S, A] float64 that follow from state values [S] (Sutton & Barto, eq. 4.6)."""
    following = (mdp.continuation @ values).reshape(mdp.expected_reward.shape)
    return np.asarray(mdp.expected_reward + gamma * following)


def evaluation_sweeps(
    mdp: FiniteMDP, policy: Array, *, gamma: float, in_place: bool, values: Array | None = None
) -> Iterator[Array]:
    """Yield the values [S] float64 after each sweep of iterative policy evaluation, without an end.

    Args:
        mdp: the model.
        policy: [S, A] float64.
        gamma: discount factor.
        in_place: each state, from the first to the last, uses the values that states before it got in this sweep
            (Gauss-Seidel); else all use those of the sweep before (Jacobi; two arrays).
        values: [S] to begin with; None: zeros.

    A sweep in place solves a triangular system, so that it is compiled: ``(I - gamma L) v = r + gamma U v_old``, L
    being what leads to states before and U the rest of the matrix of transitions.
    """
    reward, transitions = _followed(mdp, policy)
    v = np.zeros(mdp.num_states) if values is None else np.array(values, np.float64)
    if in_place:
        yield from _gauss_seidel(reward, gamma * transitions, v)
    while True:
        v = reward + gamma * (transitions @ v)
        yield v


def _gauss_seidel(reward: Array, transitions: Any, v: Array) -> Iterator[Array]:
    from scipy.sparse import eye_array, tril, triu
    from scipy.sparse.linalg import splu

    earlier = (eye_array(len(reward)) - tril(transitions, -1)).tocsc()
    # Ordered and pivoted as it stands, the triangular matrix is its own factor.
    solver = splu(earlier, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    later = triu(transitions).tocsr()
    while True:
        v = solver.solve(reward + later @ v)
        yield v


def policy_evaluation(
    mdp: FiniteMDP,
    policy: Array,
    *,
    gamma: float,
    theta: float,
    in_place: bool,
    values: Array | None = None,
    max_sweeps: int = MAX_SWEEPS,
) -> Evaluation:
    """Sweep until no value changes by `theta` or more (Sutton & Barto, section 4.1, box).

    Args:
        mdp: the model.
        policy: [S, A] float64.
        gamma: discount factor.
        theta: the largest change of the last sweep is below it.
        in_place: as in `evaluation_sweeps`.
        values: [S] to begin with; None: zeros.
        max_sweeps: at most.

    Raises:
        RunError: `max_sweeps` were not enough, as with gamma 1 and a policy that can go on forever.
    """
    before = np.zeros(mdp.num_states) if values is None else np.asarray(values)
    change = np.inf
    sweeps = evaluation_sweeps(mdp, policy, gamma=gamma, in_place=in_place, values=values)
    for count, after in zip(range(1, max_sweeps + 1), sweeps, strict=False):
        change = float(np.abs(after - before).max())
        if change < theta:
            return Evaluation(after, count)
        before = after
    raise not_converged("policy evaluation", max_sweeps, change, theta)


SOLUTION_BYTES = 120
"""The least that a sparse solution takes for each number of the equations; three times that on a square grid."""


def not_converged(what: str, sweeps: int, change: float, theta: float) -> RunError:
    """Return the error of an iteration that came to no end."""
    return RunError(
        f"{what} still changes values by {change:g} after {sweeps} sweeps (theta is {theta:g}); "
        "take a gamma below 1, a larger theta, or more sweeps"
    )


def exact_values(mdp: FiniteMDP, policy: Array, *, gamma: float) -> Array:
    """Return the values [S] float64 of a policy [S, A] by solving ``v = r + gamma P v`` (Sutton & Barto, eq. 4.4).

    Raises:
        UsageError: gamma is 1 and the policy never ends from some state, so that its value is no finite sum.
        MemoryShortageError: the solution does not fit into what is free.
    """
    reward, transitions = _followed(mdp, policy)
    if gamma == 1.0 and len(endless := never_ending(transitions)):
        raise UsageError(
            f"gamma is 1 and the policy never ends from state {endless[0]} ({len(endless)} such states); "
            "take a gamma below 1 or another policy"
        )
    if mdp.num_states <= DENSE:
        return np.asarray(np.linalg.solve(np.eye(mdp.num_states) - gamma * transitions.toarray(), reward))
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import spsolve

    equations = (eye_array(mdp.num_states) - gamma * transitions).tocsc()
    # The library behind it ends the process where its memory runs out.
    what = f"the exact values of {mdp.num_states:,} states"
    require_memory(SOLUTION_BYTES * equations.nnz, what, "use agent=value_iteration, or fewer states")
    return np.asarray(spsolve(equations, reward))


def never_ending(transitions: Any) -> Array:
    """Return the states from which `transitions` [S, S], whose rows sum to less than 1 where they end, cannot end."""
    from scipy.sparse import coo_array, vstack
    from scipy.sparse.csgraph import breadth_first_order

    ends = np.flatnonzero(transitions.sum(axis=1) < 1 - ROUNDING)
    n = transitions.shape[0]
    # Backwards from one node more, to which every end leads.
    last = coo_array((np.ones(len(ends)), (np.zeros(len(ends), int), ends)), shape=(1, n))
    backwards = vstack([transitions.T, last]).tocsr()
    backwards.resize(n + 1, n + 1)
    return np.setdiff1d(np.arange(n), breadth_first_order(backwards, n, return_predecessors=False))


def _followed(mdp: FiniteMDP, policy: Array) -> tuple[Array, Any]:
    """Return the rewards [S] and the matrix of transitions [S, S] under a policy."""
    from scipy.sparse import csr_array

    size = policy.size
    choices = csr_array(
        (policy.ravel(), np.arange(size), np.arange(0, size + 1, mdp.num_actions)), shape=(mdp.num_states, size)
    )
    return (policy * mdp.expected_reward).sum(axis=1), choices @ mdp.continuation
