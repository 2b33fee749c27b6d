"""Update rules as pure functions on values already gathered.

The arithmetic is common to NumPy and torch, and neither is imported. Names follow the time of a value:
``q_tm1, a_tm1`` before the step, ``r_t, discount_t, q_t`` after it. `discount_t` is gamma times the
environment's discount, so termination (0) and a passed turn (-1) need no special case.
"""

from __future__ import annotations

from typing import Any


def td_target(r_t: Any, discount_t: Any, v_t: Any) -> Any:
    """Return the one-step target ``r_t + discount_t * v_t`` [B] (Sutton & Barto, 2nd ed., eq. 6.2).

    Args:
        r_t: [B] rewards.
        discount_t: [B] discounts, gamma included.
        v_t: [B] value of the true successor. Q-learning takes its largest action value; double Q-learning the
            value by one table or network of the action that the *other* one prefers (van Hasselt et al., 2016).
    """
    return r_t + discount_t * v_t


def td_error(q_tm1: Any, r_t: Any, discount_t: Any, v_t: Any) -> Any:
    """Return the temporal-difference error ``td_target - q_tm1`` [B], `q_tm1` [B] the values of the actions taken."""
    return td_target(r_t, discount_t, v_t) - q_tm1


def returns(r_t: Any, discount_t: Any, v_t: Any, last: Any) -> Any:
    """Return the discounted return [T, ...] from each step (Sutton & Barto, 2nd ed., eq. 3.9), time first.

    Args:
        r_t: [T, ...] rewards.
        discount_t: [T, ...] discounts, gamma included; 0 where the episode terminated.
        v_t: [T, ...] values of the true successors, the bootstrap values at a `last` step and at the end of the array;
            the others do not count, but must be finite.
        last: [T, ...] bool, terminated or truncated.
    """
    result = r_t + discount_t * v_t
    following = None
    for t in range(len(r_t) - 1, -1, -1):
        if following is not None:
            result[t] = r_t[t] + discount_t[t] * (last[t] * v_t[t] + ~last[t] * following)
        following = result[t]
    return result


def gae(v_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, last: Any, lambda_: float) -> Any:
    """Return generalized advantage estimates [T, ...] (Schulman et al., 2016, eq. 16), time first.

    With `lambda_` 0 they are temporal-difference errors, with 1 returns minus values.

    Args:
        v_tm1: [T, ...] values of the states acted in.
        r_t: [T, ...] rewards.
        discount_t: [T, ...] discounts, gamma included; 0 where the episode terminated.
        v_t: [T, ...] values of the true successors, at truncations too.
        last: [T, ...] bool, terminated or truncated: later rows do not count.
        lambda_: decay of later errors.
    """
    return _accumulated(td_error(v_tm1, r_t, discount_t, v_t), lambda_ * discount_t * ~last)


def q_lambda(v_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, last: Any, lambda_: float) -> Any:
    """Return Q(lambda)'s targets [T, ...] for the values of the actions taken (Peng & Williams, 1996), time first.

    ``G_t = r_t + discount_t * ((1 - lambda) * v_t + lambda * G_t+1)``, whatever the next action is; at a `last` step
    and at the end of the array the true successor's value alone goes on. With `lambda_` 0 they are Q-learning's.

    Args:
        v_tm1: [T, ...] largest action values of the states acted in.
        r_t: [T, ...] rewards.
        discount_t: [T, ...] discounts, gamma included; 0 where the episode terminated.
        v_t: [T, ...] largest action values of the true successors, at truncations too.
        last: [T, ...] bool, terminated or truncated: later rows do not count.
        lambda_: weight of the next step's target against its value.
    """
    return v_tm1 + gae(v_tm1, r_t, discount_t, v_t, last, lambda_)


def vtrace(
    v_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, last: Any, ratio: Any, lambda_: float = 1.0, clip: float = 1.0
) -> tuple[Any, Any]:
    """Return V-trace's value targets and policy advantages, both [T, ...] (Espeholt et al., 2018, section 4.1).

    If the data is the policy's own (`ratio` 1) and `lambda_` is 1, the targets are `returns`.

    Args:
        v_tm1: [T, ...] values of the states acted in.
        r_t: [T, ...] rewards.
        discount_t: [T, ...] discounts, gamma included; 0 where the episode terminated.
        v_t: [T, ...] values of the true successors, at truncations too.
        last: [T, ...] bool, terminated or truncated: later rows do not count.
        ratio: [T, ...] probability of the action by the policy that learns, divided by that of the one that acted.
        lambda_: decay of later errors, as in TD(lambda).
        clip: upper bound of the ratios, both rho and c.
    """
    clipped = ratio * (ratio < clip) + clip * (ratio >= clip)
    errors = clipped * td_error(v_tm1, r_t, discount_t, v_t)
    targets = v_tm1 + _accumulated(errors, lambda_ * clipped * discount_t * ~last)
    following = v_t + 0 * v_tm1
    following[:-1] = last[:-1] * v_t[:-1] + ~last[:-1] * targets[1:]
    return targets, clipped * td_error(v_tm1, r_t, discount_t, following)


def _accumulated(errors: Any, carry: Any) -> Any:
    """Add to each error [T, ...], in place, the sum from the next step on, times `carry` [T, ...]."""
    for t in range(len(errors) - 2, -1, -1):
        errors[t] += carry[t] * errors[t + 1]
    return errors
