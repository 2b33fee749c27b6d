"""Fitted Q-iteration against value iteration, by hand, and with estimators from YAML."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from making import by_keys
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor
from transitions import seen, transition

import rlkit
from rlkit.agents.fitted_q import FittedQ
from rlkit.algorithms.fitted_values import RegressedValues
from rlkit.cli.main import main
from rlkit.core import tree
from rlkit.core.checkpoint import Store
from rlkit.core.schedules import Constant
from rlkit.core.types import RunError, UsageError
from rlkit.learners.estimators.tree import DecisionTreeRegressor as OwnTree
from rlkit.learners.slots import fitted
from rlkit.replay import UniformReplay
from toys import assert_same


class Means(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A user's own: the mean of the targets of equal rows, 0 for others."""

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def fit(self, X: Any, y: Any) -> Means:
        self.rows_, place = np.unique(X, axis=0, return_inverse=True)
        self.means_ = np.bincount(place.ravel(), y) / np.bincount(place.ravel())
        return self

    def predict(self, X: Any) -> Any:
        same = (X[:, None] == self.rows_).all(axis=2)
        return self.scale * np.where(same.any(axis=1), self.means_[same.argmax(axis=1)], 0.0)


def agent(space: Any = None, actions: int = 2, **keys: Any) -> FittedQ:
    settings: dict[str, Any] = {
        "estimator": DecisionTreeRegressor(random_state=0),
        "replay": UniformReplay(1000, np.random.default_rng(0)),
        "observation_space": spaces.Discrete(6) if space is None else space,
        "action_space": spaces.Discrete(actions),
        "gamma": 0.9,
        "epsilon": Constant(0.0),
        "epsilon_counts": "steps",
        "learning_starts": 1,
        "fit_every": 1,
        "fit_counts": "steps",
        "iterations": 1,
        "warm_start": True,
        "per_action": False,
        "standardize": False,
        "rng": np.random.default_rng(0),
    }
    return by_keys(FittedQ, **{**settings, **keys})  # type: ignore[no-any-return]


def walk(rng: np.random.Generator) -> Any:
    """Return (s, a, r, discount, s') of every outcome of a small MDP, each as often as it is likely, out of four."""
    pairs = [(s, a) for s in range(6) for a in range(3) for _ in range(4)]
    return [(s, a, rng.normal(), float(rng.random() > 0.2), int(rng.integers(6))) for s, a in pairs]


def store(made: FittedQ, rows: list[Any], chunk: int = 1) -> None:
    for start in range(0, len(rows), chunk):
        columns = list(zip(*rows[start : start + chunk], strict=True))
        made.observe(transition(*map(list, columns[:4]), list(columns[4]), last=[True] * len(columns[0])))


EXACT = [
    (DecisionTreeRegressor(random_state=0), False),
    (DecisionTreeRegressor(random_state=0), True),
    (OwnTree(), False),
    (Means(), False),
    (Means(), True),
    # Over state and action together a linear function has no product of the two.
    (LinearRegression(fit_intercept=False), True),
]


@pytest.mark.parametrize(("estimator", "per_action"), EXACT, ids=lambda one: type(one).__name__)
def test_with_an_exact_regressor_it_is_value_iteration(estimator: Any, per_action: bool) -> None:
    rows = walk(np.random.default_rng(0))
    made = agent(actions=3, estimator=estimator, per_action=per_action, fit_every=len(rows), iterations=60)
    store(made, rows)
    made.update()
    q = np.zeros((6, 3))
    for _ in range(60):
        total = np.zeros((6, 3))
        for s, a, r, discount, s_t in rows:
            total[s, a] += (np.float32(r) + 0.9 * discount * q[s_t].max()) / 4
        q = total
    assert made.values(np.arange(6)) == pytest.approx(q, abs=1e-9)


@pytest.mark.parametrize("warm_start", [True, False])
def test_each_iteration_looks_a_step_further_and_a_warm_start_goes_on(warm_start: bool) -> None:
    # 0 -> 1 -> 2 -> end, a reward of 1 each: so many iterations see so many rewards.
    made = agent(actions=1, fit_every=3, gamma=0.5, warm_start=warm_start)
    rows = [(0, 0, 1.0, 1.0, 1), (1, 0, 1.0, 1.0, 2), (2, 0, 1.0, 0.0, 3)]
    store(made, rows)
    metrics = made.update()
    assert made.values(np.arange(4))[:3, 0].tolist() == [1.0, 1.0, 1.0]
    assert metrics == {"loss/regression": 0.0, "q/mean": 1.0, "transitions": 3.0, "epsilon": 0.0}
    store(made, rows)
    made.update()
    assert made.values(np.arange(4))[:3, 0].tolist() == ([1.5, 1.5, 1.0] if warm_start else [1.0, 1.0, 1.0])


def test_truncation_bootstraps_and_termination_does_not() -> None:
    made = agent(actions=1, gamma=0.5, fit_every=2, iterations=2)
    store(made, [(0, 0, 1.0, 1.0, 1), (1, 0, 2.0, 0.0, 0)], chunk=2)
    made.update()
    assert made.values(np.array([0, 1]))[:, 0].tolist() == [2.0, 2.0]


def test_a_passed_turn_enters_with_the_opposite_sign() -> None:
    made = agent(actions=1, gamma=0.5, fit_every=2, iterations=2)
    store(made, [(0, 0, 1.0, -1.0, 1), (1, 0, 4.0, 0.0, 0)])
    made.update()
    assert made.values(np.array([0]))[0, 0] == 1 - 0.5 * 4


@pytest.mark.parametrize("per_action", [False, True])
def test_only_legal_successor_actions_count_and_an_end_may_have_none(per_action: bool) -> None:
    made = agent(gamma=0.5, fit_every=3, iterations=2, per_action=per_action)
    masks = [[True, True], [True, False], [False, False]]
    rows = transition([1, 0, 1], [0, 0, 1], [2.0, 0.0, 8.0], [0.0, 1.0, 0.0], [5, 1, 5], next_legal_actions=masks)
    made.observe(rows)
    made.update()
    assert made.values(np.array([0, 1])).round(9)[[0, 1, 1], [0, 0, 1]].tolist() == [0.5 * 2, 2.0, 8.0]
    timestep = seen([1, 1], [[True, False], [True, True]])
    assert made.act(timestep, (), explore=False, rng=np.random.default_rng(0))[0].tolist() == [0, 1]


def test_an_action_never_taken_is_worth_nothing_where_each_has_its_regressor() -> None:
    made = agent(per_action=True, fit_every=1)
    store(made, [(0, 1, -3.0, 0.0, 1)])
    made.update()
    assert made.values(np.array([0])).tolist() == [[0.0, -3.0]]


def test_returns_of_several_steps_come_from_the_replay() -> None:
    replay = UniformReplay(10, np.random.default_rng(0), n_step=2)
    made = agent(actions=1, gamma=0.5, fit_every=3, replay=replay)
    rows = [(0, 1.0, 1.0, 1, False), (1, 2.0, 1.0, 2, False), (2, 4.0, 0.0, 3, True)]
    for s, reward, discount, s_t, last in rows:
        made.observe(transition([s], [0], [reward], [discount], [s_t], last=[last]))
    made.update()
    assert made.values(np.arange(3))[:, 0].tolist() == [1 + 0.5 * 2, 2 + 0.5 * 4, 4.0]


def test_fits_are_due_where_a_multiple_is_crossed_and_not_before_learning_starts() -> None:
    made = agent(fit_every=4, learning_starts=6)
    rows = transition([0, 1, 2], [0, 1, 0], [1.0] * 3, [0.0] * 3, [1, 1, 1])
    due = []
    for _ in range(6):
        made.observe(rows)
        due.append(made.update() is not None)
    # 3, 6, 9, 12, 15, 18: of the multiples of 4 that are no less than 6, 8, 12 and 16 lie in the 3rd, 4th and 6th.
    assert due == [False, False, True, True, False, True]
    episodes = agent(fit_every=2, fit_counts="episodes")
    for last, expected in ((False, False), (True, False), (False, False), (True, True)):
        episodes.observe(transition([0], [0], [1.0], [1.0], [1], last=[last]))
        assert (episodes.update() is not None) is expected


@pytest.mark.parametrize(("warm_start", "iterations"), [(True, 6), (False, 2)])
def test_multiples_passed_at_once_are_one_fit_with_the_iterations_of_all(warm_start: bool, iterations: int) -> None:
    # One state that leads to itself and pays 1: k iterations from 0 make it worth the first k terms of the series.
    made = agent(actions=1, gamma=0.5, fit_every=1, iterations=2, warm_start=warm_start)
    made.observe(transition([0] * 3, [0] * 3, [1.0] * 3, [1.0] * 3, [0] * 3))
    made.update()
    assert made.values(np.array([0]))[0, 0] == pytest.approx(2 - 0.5 ** (iterations - 1))


def test_rows_that_are_not_valid_are_neither_stored_nor_counted() -> None:
    made = agent(fit_every=1, iterations=1)
    made.observe(transition([0, 1], [0, 0], [8.0, 2.0], [0.0, 0.0], [9, 1], valid=[False, True]))
    assert made.update()["transitions"] == 1.0  # type: ignore[index]


def test_standardized_rows_and_targets_change_no_linear_fit() -> None:
    space = spaces.Box(-np.inf, np.inf, (2,))
    rng = np.random.default_rng(0)
    rows, action = rng.normal(5, [1, 100], size=(50, 2)), rng.integers(2, size=50)
    target = rows @ [2.0, 0.03] + 1000 + 10 * action
    values = [
        RegressedValues(LinearRegression(), space, spaces.Discrete(2), per_action=False, standardize=standardize)
        for standardize in (True, False)
    ]
    for one in values:
        one.fit(one.rows(rows), action, target, rng)
    assert values[0](rows) == pytest.approx(values[1](rows), rel=1e-9)
    assert values[0](rows)[np.arange(50), action] == pytest.approx(target)


def test_the_seed_of_each_regression_is_the_agents_own() -> None:
    from rlkit.learners.estimators.forest import ExtraTreesRegressor

    X = np.random.default_rng(0).normal(size=(60, 3))
    predictions = [
        fitted(ExtraTreesRegressor(2, random_state=5), X, X[:, 0] ** 2, seed).predict(X + 0.1) for seed in (1, 1, 2)
    ]
    assert np.array_equal(predictions[0], predictions[1])
    assert not np.array_equal(predictions[0], predictions[2])


def test_a_state_without_its_replay_is_enough_to_act(tmp_path: Path) -> None:
    rows = walk(np.random.default_rng(1))
    first, second = (agent(actions=3, estimator=Means(), fit_every=len(rows)) for _ in range(2))
    store(first, rows)
    first.update()
    saved = Store(tmp_path)
    saved.save(0, {key: value for key, value in first.state_dict().items() if key != "replay"})
    second.load_state_dict(saved.load(0))
    assert np.array_equal(first.values(np.arange(6)), second.values(np.arange(6)))


def test_a_state_that_was_restored_is_not_kept() -> None:
    rows = walk(np.random.default_rng(1))
    first, second = (agent(actions=3, estimator=Means(), fit_every=len(rows)) for _ in range(2))
    store(first, rows)
    first.update()
    before = first.values(np.arange(6)).copy()
    state = copy.deepcopy(first.state_dict())
    second.load_state_dict(state)
    tree.map(lambda part: part.fill(0) if isinstance(part, np.ndarray) else None, state["values"])
    assert np.array_equal(second.values(np.arange(6)), before)


REFUSED = {
    "learner@agent.estimator=naive_bayes": r"agent.estimator is a \w+, which is a classifier; it must be a regressor",
    "agent.fit_every=0": "agent.fit_every is 0; it must be at least 1",
    "agent.fit_counts=days": "agent.fit_counts is days; it must be steps or episodes",
    "learner@agent.estimator=sklearn agent.estimator.estimator=sklearn.neighbors.KNeighborsRegressor": (
        "agent.estimator cannot be used: KNeighborsRegressor read again cannot predict .* left out .*_tree"
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_is_refused_at_the_start_in_one_line(words: str, tmp_path: Path, capsys: Any) -> None:
    run = f"train agent=fitted_q env=cartpole tuned=none run_dir={tmp_path}/run {words}"
    assert main(run.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(REFUSED[words], line)


FITTING = {
    "forest": "learner@agent.estimator=forest agent.estimator.n_estimators=3",
    "linear": "learner@agent.estimator=linear",
    "mlp": "learner@agent.estimator=mlp agent.estimator.n_epochs=2 agent.standardize=true",
    "sklearn": "learner@agent.estimator=sklearn agent.estimator.estimator=sklearn.ensemble.RandomForestRegressor "
    "+agent.estimator.n_estimators=3 agent.per_action=true",
    "neighbors": "learner@agent.estimator=sklearn agent.estimator.estimator=sklearn.neighbors.KNeighborsRegressor "
    "+agent.estimator.algorithm=brute",
    "own": "learner@agent.estimator=sklearn agent.estimator.estimator=test_fitted_q.Means +agent.estimator.scale=0.5",
}
SHORT = "video=none logger=[csv] tuned=none total_steps=120 eval.every=0 checkpoint.every=60 agent.learning_starts=30"


@pytest.mark.parametrize("name", FITTING)
def test_any_estimator_fits_the_slot_from_yaml_and_is_read_again(name: str, tmp_path: Path) -> None:
    words = f"agent=fitted_q env=cartpole {SHORT} agent.fit_every=30 agent.iterations=2 {FITTING[name]}".split()
    run = rlkit.train(*words, run_dir=tmp_path / "run")
    made = run.load_agent("last")
    assert len(made.state_dict()["values"]["models"]) == (2 if "per_action" in FITTING[name] else 1)
    assert_same(made.state_dict(), rlkit.load(run.directory, trust=__name__).load_agent("last").state_dict())


def test_an_estimator_that_refuses_its_rows_says_so_in_one_line() -> None:
    with pytest.raises(RunError, match=r"LinearRegression cannot be fitted to 2 rows: .*NaN"):
        fitted(LinearRegression(), np.array([[np.nan], [1.0]]), np.ones(2), 0)
    with pytest.raises(UsageError, match="is an object, which is no estimator"):
        agent(estimator=object())


@pytest.mark.slow
@pytest.mark.parametrize(("env", "score"), [("cartpole", 475), ("mountain_car", -120)])
def test_the_tuned_settings_reach_their_scores_within_a_thousand_episodes(
    env: str, score: float, tmp_path: Path
) -> None:
    run = rlkit.train("agent=fitted_q", f"env={env}", seed=0, video="none", logger="[csv]", run_dir=tmp_path / "run")
    assert len(run.episodes["step"]) <= 1000
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= score
