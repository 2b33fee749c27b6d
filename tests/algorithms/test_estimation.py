"""What a policy is worth, from episodes of another: by hand, by naive twins, and the truth within the intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from rlkit.algorithms.estimation.estimates import Effort, Evidence, estimates
from rlkit.algorithms.estimation.estimators import (
    doubly_robust,
    effective_episodes,
    per_decision_importance_sampling,
    weighted_importance_sampling,
)
from rlkit.algorithms.estimation.fitted_q_evaluation import PolicySteps, fitted_q_evaluation
from rlkit.algorithms.estimation.logged import logged

GAMMA, LEVELS, WIDTH = 0.9, 3, 2


class Table:
    """The mean target of each state and action; states are rows of one number."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.q = np.zeros((LEVELS * WIDTH + 1, 2))

    def of_rows(self, rows: Any) -> Any:
        return self.q[rows[:, 0].astype(int)]

    def fit(self, rows: Any, action: Any, target: Any, rng: np.random.Generator) -> None:
        place = rows[:, 0].astype(int) * 2 + action
        sums = np.bincount(place, target, self.q.size)
        self.q = (sums / np.maximum(np.bincount(place, minlength=self.q.size), 1)).reshape(self.q.shape)


class Layers:
    """Three levels of two states with two actions: where one leads, what it earns and whether it ends is drawn."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = LEVELS * WIDTH
        self.reward, self.upper = rng.normal(size=(n, 2)), rng.random((n, 2))
        self.ends = 0.2 * rng.random((n, 2))
        self.behavior, self.policy = (rng.uniform(0.25, 0.75, n + 1) for _ in range(2))

    def chances(self, policy: Any, states: Any) -> Any:
        """Return the probabilities [n, 2] of the actions."""
        return np.stack([1 - policy[states], policy[states]], axis=1)

    def worth(self) -> float:
        """Return the policy's exact value in the first state."""
        v = np.zeros(LEVELS * WIDTH + 2 * WIDTH)
        for state in reversed(range(LEVELS * WIDTH)):
            above = (state // WIDTH + 1) * WIDTH
            last = above >= LEVELS * WIDTH
            following = np.zeros(2) if last else (1 - self.upper[state]) * v[above] + self.upper[state] * v[above + 1]
            q = self.reward[state] + GAMMA * (1 - self.ends[state]) * following
            v[state] = self.chances(self.policy, np.array([state]))[0] @ q
        return float(v[0])

    def evidence(self, episodes: int, rng: np.random.Generator) -> Evidence:
        rows, lengths = [], []
        for _ in range(episodes):
            state, length = 0, 0
            while state >= 0:
                action = int(rng.random() < self.behavior[state])
                above = (state // WIDTH + 1) * WIDTH + int(rng.random() < self.upper[state, action])
                over = above >= LEVELS * WIDTH or rng.random() < self.ends[state, action]
                reward = self.reward[state, action] + rng.normal()
                rows.append((state, action, reward, 0.0 if over else 1.0, LEVELS * WIDTH if over else above))
                state, length = -1 if over else above, length + 1
            lengths.append(length)
        states, actions, rewards, discounts, following = (np.array(column) for column in zip(*rows, strict=True))
        steps = PolicySteps(
            states[:, None], actions, rewards, discounts, following[:, None], self.chances(self.policy, following)
        )
        acted = self.chances(self.behavior, states)[np.arange(len(states)), actions]
        return Evidence(steps, np.append(0, np.cumsum(lengths)), self.chances(self.policy, states), acted)


def test_the_truth_lies_within_the_intervals_95_times_of_100() -> None:
    mdp, effort = Layers(5), Effort(iterations=LEVELS, resamples=300, refits=30)
    hits: dict[str, int] = {}
    for trial in range(100):
        rng = np.random.default_rng(trial)
        found, _ = estimates(mdp.evidence(80, rng), Table(), gamma=GAMMA, effort=effort, rng=rng)
        for name, estimate in found.items():
            hits[name] = hits.get(name, 0) + (estimate.low <= mdp.worth() <= estimate.high)
    least, most = stats.binom.ppf([0.01, 0.99], 100, 0.95)
    assert set(hits) == {
        "weighted_importance_sampling",
        "per_decision_importance_sampling",
        "doubly_robust",
        "fitted_q_evaluation",
    }
    assert all(least <= count <= most for count in hits.values()), hits


def test_estimates_approach_the_truth_and_a_doubly_robust_one_does_so_with_wrong_values() -> None:
    mdp, rng = Layers(3), np.random.default_rng(0)
    evidence = mdp.evidence(6000, rng)
    found, effective = estimates(evidence, Table(), gamma=GAMMA, effort=Effort(LEVELS, 50, 2), rng=rng)
    for estimate in found.values():
        assert estimate.mean == pytest.approx(mdp.worth(), abs=0.12)
    assert 600 < effective < 6000
    ratio = evidence.policy[np.arange(len(evidence.behavior)), evidence.steps.action] / evidence.behavior
    n, e = len(ratio), len(evidence.starts) - 1
    wrong_v = np.full(n + e, 7.0)
    wrong_v[evidence.starts[1:] + np.arange(e)] = 0
    data = logged(ratio, evidence.steps.reward, evidence.starts, GAMMA, np.full(n, 7.0), wrong_v)
    assert doubly_robust(data, np.ones((1, e)))[0] == pytest.approx(mdp.worth(), abs=0.25)


def test_two_episodes_by_hand() -> None:
    # Ratios 2, 3 and 1/2; rewards 1, 10 and 4; gamma 1/2.
    data = logged(np.array([2.0, 3.0, 0.5]), np.array([1.0, 10.0, 4.0]), np.array([0, 2, 3]), 0.5)
    ones = np.ones((1, 2))
    assert data.weight.tolist() == [[2, 6], [0.5, 0.5]]
    assert weighted_importance_sampling(data, ones)[0] == pytest.approx((6 * (1 + 5) + 0.5 * 4) / 6.5)
    expected = (2 * 1 + 0.5 * 4) / 2.5 + (6 * 5 + 0.5 * 0) / 6.5
    assert per_decision_importance_sampling(data, ones)[0] == pytest.approx(expected)
    assert doubly_robust(data, ones)[0] == pytest.approx(expected)
    assert weighted_importance_sampling(data, np.array([[0.0, 2.0]]))[0] == pytest.approx(4)
    assert effective_episodes(data) == pytest.approx(6.5**2 / (36 + 0.25))


def test_the_doubly_robust_sum_equals_its_definition() -> None:
    rng = np.random.default_rng(1)
    starts, n = np.array([0, 3, 5, 9]), 9
    ratio, reward, q = rng.uniform(0.5, 2, n), rng.normal(size=n), rng.normal(size=n)
    v = rng.normal(size=n + 3)
    found = doubly_robust(logged(ratio, reward, starts, 0.8, q, v), np.ones((1, 3)))[0]
    weights = np.ones((3, 6))
    for e in range(3):
        for t in range(5):
            step = starts[e] + t
            weights[e, t + 1] = weights[e, t] * (ratio[step] if step < starts[e + 1] else 1)
    shares = weights / weights.sum(0)
    expected = 0.0
    for e in range(3):
        for t in range(starts[e + 1] - starts[e] + 1):
            expected += 0.8**t * shares[e, t] * v[starts[e] + e + t]
            if t < starts[e + 1] - starts[e]:
                step = starts[e] + t
                expected += 0.8**t * shares[e, t + 1] * (reward[step] - q[step])
    assert found == pytest.approx(expected)


def test_fitted_values_are_the_policys_own() -> None:
    mdp, values = Layers(2), Table()
    rng = np.random.default_rng(0)
    fitted_q_evaluation(values, mdp.evidence(5000, rng).steps, gamma=GAMMA, iterations=LEVELS, rng=rng)
    policy = mdp.chances(mdp.policy, np.arange(1))
    assert float((policy * values.q[:1]).sum()) == pytest.approx(mdp.worth(), abs=0.08)
    values.reset()
    assert not values.of_rows(np.zeros((1, 1))).any()
