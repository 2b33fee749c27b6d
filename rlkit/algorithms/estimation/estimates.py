"""All estimates of a policy's worth from one set of recorded episodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlkit.algorithms.estimation.estimators import (
    ESTIMATORS,
    Estimate,
    effective_episodes,
    estimated,
    with_interval,
)
from rlkit.algorithms.estimation.fitted_q_evaluation import FittedValues, PolicySteps, fitted_q_evaluation
from rlkit.algorithms.estimation.logged import logged
from rlkit.core.types import Array


class Evidence(NamedTuple):
    """E episodes of T steps, and what two policies would do in them."""

    steps: PolicySteps
    starts: Array  # [E + 1] int64, the first step of each episode, and T
    policy: Array  # [T, A] probabilities of the policy that is estimated, in the states
    behavior: Array  # [T] probabilities, of the policy that acted, of what it did


class Effort(NamedTuple):
    """How much is computed."""

    iterations: int  # of fitted Q evaluation
    resamples: int  # of episodes, for the intervals of weighted returns
    refits: int  # of fitted Q evaluation, on resampled episodes, for its interval


def estimates(
    evidence: Evidence, values: FittedValues, *, gamma: float, effort: Effort, rng: np.random.Generator
) -> tuple[dict[str, Estimate], float]:
    """Return estimates of the mean discounted return by name, and how many episodes the weighted ones count for.

    Args:
        evidence: what was recorded.
        values: are fitted.
        gamma: discount factor.
        effort: how much is computed.
        rng: draws resamples and regressors' seeds.
    """
    steps, starts = evidence.steps, evidence.starts
    fitted_q_evaluation(values, steps, gamma=gamma, iterations=effort.iterations, rng=rng)
    q = values.of_rows(steps.rows)
    own = (evidence.policy * q).sum(1)
    after = steps.discount * (steps.policy * values.of_rows(steps.following)).sum(1)
    taken = np.arange(len(steps.action)), steps.action
    v = np.insert(own, starts[1:], after[starts[1:] - 1])
    data = logged(evidence.policy[taken] / evidence.behavior, steps.reward, starts, gamma, q[taken], v)
    found = {name: estimated(estimator, data, effort.resamples, rng) for name, estimator in ESTIMATORS.items()}
    refits = [_refit(evidence, values, gamma, effort.iterations, rng) for _ in range(effort.refits)]
    found["fitted_q_evaluation"] = with_interval(float(own[starts[:-1]].mean()), np.array(refits))
    return found, effective_episodes(data)


def _refit(evidence: Evidence, values: FittedValues, gamma: float, iterations: int, rng: np.random.Generator) -> float:
    """Return the worth by values that are fitted to episodes drawn with replacement."""
    starts = evidence.starts
    drawn = rng.integers(len(starts) - 1, size=len(starts) - 1)
    chosen = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in drawn])
    fitted_q_evaluation(values, evidence.steps, gamma=gamma, iterations=iterations, rng=rng, chosen=chosen)
    first = starts[drawn]
    return float((evidence.policy[first] * values.of_rows(evidence.steps.rows[first])).sum(1).mean())
