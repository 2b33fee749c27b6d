"""Fitted Q evaluation (Le, Voloshin & Yue, 2019): the values of a policy, by regressions onto its own targets."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from rlkit.core.targets import td_target
from rlkit.core.types import Array


class FittedValues(Protocol):
    """What is fitted: `rlkit.algorithms.fitted_values.RegressedValues`."""

    def of_rows(self, rows: Array) -> Array:
        """Return values [N, A] for rows [N, D]."""

    def fit(self, rows: Array, action: Array, target: Array, rng: np.random.Generator) -> None:
        """Fit the values of `action` [n] in `rows` [n, D] to `target` [n]."""

    def reset(self) -> None:
        """Let every value be 0."""


class PolicySteps(NamedTuple):
    """T recorded steps, and what the policy would do after each."""

    rows: Array  # [T, D]
    action: Array  # [T] int64
    reward: Array  # [T]
    discount: Array  # [T] 0 = terminated
    following: Array  # [T, D] rows of the successors
    policy: Array  # [T, A] the policy's probabilities in the successors


def fitted_q_evaluation(
    values: FittedValues,
    steps: PolicySteps,
    *,
    gamma: float,
    iterations: int,
    rng: np.random.Generator,
    chosen: Array | None = None,
) -> None:
    """Fit `values`, from 0, to ``r + gamma * discount * sum_a pi(a|s') Q(s', a)``; each iteration looks a step further.

    Args:
        values: are fitted.
        steps: what is learned from.
        gamma: discount factor.
        iterations: how many regressions.
        rng: draws the regressors' seeds.
        chosen: [n] int64 numbers of the steps that count, with repetitions, as of a bootstrap; None: all, once.
    """
    if chosen is not None:
        steps = PolicySteps(*(column[chosen] for column in steps))
    values.reset()
    for _ in range(iterations):
        v_t = (steps.policy * values.of_rows(steps.following)).sum(1)
        target = td_target(steps.reward, gamma * steps.discount, v_t)
        values.fit(steps.rows, steps.action, np.asarray(target), rng)
