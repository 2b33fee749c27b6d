"""Logged episodes as matrices, padded behind their ends, for estimators of a policy's worth.

Shapes: E episodes, H steps of the longest, T steps of all, A actions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array


class LoggedEpisodes(NamedTuple):
    """What estimators read. Behind an episode's end nothing is earned, and weights stay what they were."""

    weight: Array  # [E, H] product of pi(a|s) / b(a|s) up to each step
    reward: Array  # [E, H] times gamma to the power of the step
    q: Array  # [E, H] of the actions taken under the policy, likewise; 0 where no values are known
    v: Array  # [E, H + 1] of the states under the policy, likewise; 0 where an episode has terminated


def logged(
    ratio: Array, reward: Array, starts: Array, gamma: float, q: Array | None = None, v: Array | None = None
) -> LoggedEpisodes:
    """Return episodes as matrices.

    Args:
        ratio: [T] float64, pi(a|s) / b(a|s) of each step, one episode after the other.
        reward: [T] of each step.
        starts: [E + 1] int64, the first step of each episode, and T.
        gamma: discount factor.
        q: [T] values of the actions taken; None: not known.
        v: [T + E] values of states, those after the last steps included, 0 where it terminated; None: not known.
    """
    lengths = np.diff(starts)
    episode = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(reward)) - np.repeat(starts[:-1], lengths)
    shape = len(lengths), int(lengths.max())
    ratios, rewards, qs, vs = np.ones(shape), np.zeros(shape), np.zeros(shape), np.zeros((shape[0], shape[1] + 1))
    ratios[episode, step] = ratio
    discounts = gamma ** np.arange(shape[1] + 1)
    rewards[episode, step] = reward
    if q is not None and v is not None:
        qs[episode, step] = q
        own = np.repeat(np.arange(len(lengths)), lengths + 1)
        vs[own, np.arange(len(v)) - np.repeat(starts[:-1] + np.arange(len(lengths)), lengths + 1)] = v
    return LoggedEpisodes(ratios.cumprod(1), rewards * discounts[:-1], qs * discounts[:-1], vs * discounts)
