"""Optimal policies when the MDP is known (Sutton & Barto, 2nd ed., sections 4.2 to 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.mdp.evaluation import (
    MAX_SWEEPS,
    action_values,
    exact_values,
    not_converged,
    policy_evaluation,
    uniform_policy,
)
from rlkit.planning.mdp.model import FiniteMDP

TIE = 1e-8
"""Actions whose values differ by less, as a share of the value where that is above 1, are equally good."""


class Plan(NamedTuple):
    """A policy and its values."""

    values: Array  # [S] float64
    action_values: Array  # [S, A] float64, of illegal actions as well
    policy: Array  # [S, A] float64, ties shared
    iterations: int  # of policies, or sweeps over the states


def best_values(mdp: FiniteMDP, q: Array) -> Array:
    """Return the largest action value [S] among the legal actions of `q` [S, A]."""
    return np.asarray(q.max(axis=1) if mdp.legal is None else np.where(mdp.legal, q, -np.inf).max(axis=1))


def greedy_policy(mdp: FiniteMDP, q: Array, *, tolerance: float = TIE) -> Array:
    """Return the policy [S, A] float64 that is greedy in action values `q` [S, A]; ties are shared (section 4.2).

    Args:
        mdp: for what is legal.
        q: [S, A] float64.
        tolerance: see `TIE`.
    """
    best = best_values(mdp, q)
    slack = tolerance * np.maximum(1.0, np.abs(best))
    ties = mdp.mask & (q >= (best - slack)[:, None])
    return np.asarray(ties / ties.sum(axis=1, keepdims=True))


def policy_improvement(mdp: FiniteMDP, values: Array, *, gamma: float, tolerance: float = TIE) -> Array:
    """Return the policy [S, A] float64 that is greedy with respect to state values [S] (section 4.2)."""
    return greedy_policy(mdp, action_values(mdp, values, gamma=gamma), tolerance=tolerance)


def policy_iteration(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float | None,
    in_place: bool = True,
    policy: Array | None = None,
    tolerance: float = TIE,
) -> Plan:
    """Evaluate and improve in turn until the policy is its own improvement (section 4.3).

    Args:
        mdp: to be solved.
        gamma: discount factor.
        theta: evaluation stops when values change by less; None: evaluation is exact, by linear solve.
        in_place: as in `evaluation_sweeps`.
        policy: [S, A] to begin with; None: the uniform one.
        tolerance: see `TIE`.

    Raises:
        UsageError: evaluation is exact, gamma 1, and a policy on the way never ends from some state.
        RunError: evaluation by sweeps does not converge, as with gamma 1 and such a policy.
    """
    policy = uniform_policy(mdp) if policy is None else policy
    values: Array | None = None
    for iteration in count(1):
        plan = evaluate_and_improve(
            mdp, policy, values, iteration, gamma=gamma, theta=theta, in_place=in_place, tolerance=tolerance
        )
        if settled(policy, values, plan, tolerance=tolerance):
            break
        values, policy = plan.values, plan.policy
    return plan


def evaluate_and_improve(
    mdp: FiniteMDP,
    policy: Array,
    values: Array | None,
    iteration: int,
    *,
    gamma: float,
    theta: float | None,
    in_place: bool = True,
    tolerance: float = TIE,
) -> Plan:
    """Return a policy's values, and its improvement: one round of policy iteration.

    Args:
        mdp: to be solved.
        policy: [S, A] to be evaluated.
        values: [S] from which evaluation by sweeps begins; None: zeros.
        iteration: which round it is.
        gamma: discount factor.
        theta: see `policy_iteration`, as the others.
        in_place: likewise.
        tolerance: likewise.
    """
    if theta is None:
        after = exact_values(mdp, policy, gamma=gamma)
    else:
        after = policy_evaluation(mdp, policy, gamma=gamma, theta=theta, in_place=in_place, values=values).values
    return plan_of(mdp, after, iteration, gamma=gamma, tolerance=tolerance)


def settled(policy: Array, values: Array | None, plan: Plan, *, tolerance: float = TIE) -> bool:
    """Return whether a round of policy iteration changed nothing: `policy` [S, A] and `values` [S] are those before it.

    Within the tolerance, policies of the same value could follow each other for ever.
    """
    as_good = values is not None and np.allclose(values, plan.values, rtol=tolerance, atol=tolerance)
    return bool(as_good or np.array_equal(plan.policy, policy))


def value_iteration(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float,
    values: Array | None = None,
    max_sweeps: int = MAX_SWEEPS,
    tolerance: float = TIE,
) -> Plan:
    """Sweep ``v(s) <- max_a q(s, a)`` with two arrays until no value changes by `theta` or more (section 4.4).

    Args:
        mdp: to be solved.
        gamma: discount factor.
        theta: the largest change of the last sweep is below it.
        values: [S] to begin with; None: zeros.
        max_sweeps: at most.
        tolerance: see `TIE`.

    Raises:
        RunError: `max_sweeps` were not enough.
    """
    v = np.zeros(mdp.num_states) if values is None else np.asarray(values, np.float64)
    v, sweeps = _swept(lambda v: best_values(mdp, action_values(mdp, v, gamma=gamma)), v, theta, max_sweeps)
    return plan_of(mdp, v, sweeps, gamma=gamma, tolerance=tolerance)


def action_value_iteration(
    mdp: FiniteMDP,
    *,
    gamma: float,
    theta: float,
    q: Array | None = None,
    max_sweeps: int = MAX_SWEEPS,
    tolerance: float = TIE,
) -> Plan:
    """Sweep ``q(s, a) <- r + gamma max_a' q(s', a')`` until no value changes by `theta` or more (eq. 3.20).

    Args:
        mdp: to be solved.
        gamma: discount factor.
        theta: the largest change of the last sweep is below it.
        q: [S, A] to begin with; None: zeros.
        max_sweeps: at most.
        tolerance: see `TIE`.

    Raises:
        RunError: `max_sweeps` were not enough.
    """
    q = np.zeros(mdp.expected_reward.shape) if q is None else np.asarray(q, np.float64)
    q, sweeps = _swept(lambda q: action_values(mdp, best_values(mdp, q), gamma=gamma), q, theta, max_sweeps)
    return Plan(best_values(mdp, q), q, greedy_policy(mdp, q, tolerance=tolerance), sweeps)


def _swept(backup: Callable[[Array], Array], values: Array, theta: float, max_sweeps: int) -> tuple[Array, int]:
    """Back up all values until none changes by `theta` or more; return them and the number of sweeps."""
    change = np.inf
    for sweep in range(1, max_sweeps + 1):
        before, values = values, backup(values)
        change = float(np.abs(values - before).max())
        if change < theta:
            return values, sweep
    raise not_converged("value iteration", max_sweeps, change, theta)


def plan_of(mdp: FiniteMDP, values: Array, iterations: int, *, gamma: float, tolerance: float) -> Plan:
    """Return the plan that optimal state values [S] amount to."""
    q = action_values(mdp, values, gamma=gamma)
    return Plan(values, q, greedy_policy(mdp, q, tolerance=tolerance), iterations)
