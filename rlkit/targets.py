"""Update rules as pure functions on values already gathered.

The arithmetic is common to NumPy and torch, and neither is imported. Names follow the time of a value:
``q_tm1, a_tm1`` before the step, ``r_t, discount_t, q_t`` after it. `discount_t` is gamma times the
environment's discount, so termination (0) and a passed turn (-1) need no case of their own.
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
    """Return the temporal-difference error ``td_target - q_tm1`` [B] of the values `q_tm1` [B] of what was done."""
    return td_target(r_t, discount_t, v_t) - q_tm1
