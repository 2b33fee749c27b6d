"""Contextual bandits against direct solutions, and against what is known of small problems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from making import by_keys
from sklearn.linear_model import BayesianRidge
from sklearn.neighbors import KNeighborsRegressor

from rlkit.agents.bandit import Bandit
from rlkit.algorithms.bandits import Contexts, EpsilonGreedy, EstimatorArms, RecommenderArms, RidgeArms, Steps
from rlkit.algorithms.bandits import ThompsonSampling as Thompson
from rlkit.algorithms.bandits import UpperBound as Bound
from rlkit.algorithms.bandits.memory import Memory
from rlkit.core.loop import interact, train
from rlkit.core.schedules import Constant
from rlkit.core.types import RunError, UsageError
from rlkit.envs.bandit import KArmedBandit as SlotMachine
from rlkit.learners.estimators.factorization import MatrixFactorization
from rlkit.learners.estimators.linear import LinearRegression
from rlkit.learners.estimators.naive_bayes import BernoulliNB, GaussianNB
from rlkit.learners.estimators.neighbors import Popularity
from rlkit.learners.estimators.tree import DecisionTreeRegressor
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same

OPTIONS: dict[str, Any] = {"memory": 500, "update_every": 50, "partial": False, "bootstraps": 0, "initial_value": 0.0}


def options(**changed: Any) -> dict[str, Any]:
    return {**OPTIONS, "rng": np.random.default_rng(3), **changed}


def steps(n: int, arms: int, width: int, seed: int = 0) -> Steps:
    rng = np.random.default_rng(seed)
    return Steps(rng.normal(size=(n, width)), rng.integers(arms, size=n), rng.normal(size=n))


class TestRidge:
    @pytest.mark.parametrize("intercept", [True, False])
    def test_weights_and_covariance_are_those_of_a_direct_solution(self, intercept: bool) -> None:
        seen, model = steps(300, 3, 4), RidgeArms(3, 4, ridge=2.0, intercept=intercept)
        for start in range(0, 300, 7):
            model.learn(Steps(*(column[start : start + 7] for column in seen)))
        new = np.random.default_rng(1).normal(size=(5, 4))
        for arm in range(3):
            x, y = seen.context[seen.action == arm], seen.reward[seen.action == arm]
            x, z = (np.column_stack((np.ones(len(rows)), rows)) if intercept else rows for rows in (x, new))
            precision = x.T @ x + 2.0 * np.eye(x.shape[1])
            np.testing.assert_allclose(model.inverse[arm], np.linalg.inv(precision), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(model.weights[arm], np.linalg.solve(precision, x.T @ y), rtol=1e-9)
            np.testing.assert_allclose(model.mean(new)[:, arm], z @ np.linalg.solve(precision, x.T @ y), rtol=1e-9)
            wide = np.sqrt(np.diag(z @ np.linalg.inv(precision) @ z.T))
            np.testing.assert_allclose(model.deviation(new)[:, arm], wide, rtol=1e-9)

    def test_draws_are_those_of_normal_weights(self) -> None:
        model = RidgeArms(2, 2, ridge=1.0, intercept=False)
        model.learn(steps(20, 2, 2))
        context = np.tile([[0.5, -1.0]], (40_000, 1))
        drawn = model.draw(context, np.random.default_rng(0), 1.0)
        rng = np.random.default_rng(1)
        weights = np.stack([rng.multivariate_normal(model.weights[a], model.inverse[a], 40_000) for a in range(2)])
        expected = (weights @ context[0]).T
        np.testing.assert_allclose(drawn.mean(0), expected.mean(0), atol=0.02)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(expected.T), atol=0.02)

    def test_too_many_weights_and_no_ridge_are_refused(self) -> None:
        with pytest.raises(UsageError, match="100 arms with contexts of 2000 numbers are too many"):
            RidgeArms(100, 2000, ridge=1.0, intercept=False)
        with pytest.raises(UsageError, match=r"agent.ridge is 0; it must be above 0"):
            RidgeArms(2, 2, ridge=0.0, intercept=False)


def test_contexts_are_one_hot_where_observations_are_discrete() -> None:
    assert Contexts(spaces.Discrete(3))(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert Contexts(spaces.MultiDiscrete([2, 3]))(np.array([[1, 2]])).tolist() == [[0, 1, 0, 0, 1]]
    assert Contexts(spaces.Box(0, 9, (2, 2)))(np.ones((1, 2, 2), np.float32)).tolist() == [[1, 1, 1, 1]]


def test_memory_keeps_the_newest_steps_in_their_order() -> None:
    memory = Memory(5, 1)
    for start in (0, 3, 6):
        memory.add(Steps(np.arange(start, start + 3.0)[:, None], np.arange(start, start + 3), np.zeros(3)))
    assert memory.newest(9).action.tolist() == [4, 5, 6, 7, 8]
    assert memory.newest(2).context.ravel().tolist() == [7, 8]
    other = Memory(5, 1)
    other.load_state_dict(memory.state_dict())
    memory.add(steps(2, 9, 1))
    other.add(steps(2, 9, 1))
    assert_same(memory.state_dict(), other.state_dict())


class TestEstimators:
    def test_each_arm_has_an_estimator_of_its_own_rows(self) -> None:
        seen, model = steps(100, 2, 3), EstimatorArms(LinearRegression(), 2, 3, joint=False, **options())
        model.learn(seen)
        new = np.random.default_rng(5).normal(size=(4, 3))
        expected = [LinearRegression().fit(seen.context[own], seen.reward[own]).predict(new) for own in self._own(seen)]
        np.testing.assert_array_equal(model.mean(new), np.column_stack(expected))

    def _own(self, seen: Steps) -> list[Any]:
        return [seen.action == arm for arm in range(2)]

    def test_a_joint_one_sees_the_arm_after_the_context(self) -> None:
        seen, model = steps(100, 2, 3), EstimatorArms(DecisionTreeRegressor(), 2, 3, joint=True, **options())
        model.learn(seen)
        tree = DecisionTreeRegressor().fit(np.column_stack((seen.context, np.eye(2)[seen.action])), seen.reward)
        new = np.random.default_rng(5).normal(size=(4, 3))
        for arm in range(2):
            rows = np.column_stack((new, np.tile(np.eye(2)[arm], (4, 1))))
            np.testing.assert_array_equal(model.mean(new)[:, arm], tree.predict(rows))

    def test_a_classifier_tells_how_likely_a_reward_is(self) -> None:
        seen = steps(200, 1, 2)
        model = EstimatorArms(GaussianNB(), 2, 2, joint=False, **options())
        model.learn(seen)
        new = np.random.default_rng(5).normal(size=(4, 2))
        expected = GaussianNB().fit(seen.context, seen.reward > 0).predict_proba(new)[:, 1]
        np.testing.assert_array_equal(model.mean(new)[:, 0], expected)
        # Never tried: one reward of initial_value.
        assert model.mean(new)[:, 1].tolist() == [0.0] * 4
        assert model.deviation(new)[:, 1].tolist() == [1.0] * 4

    def test_partial_fits_add_up_to_a_whole_one(self) -> None:
        seen = steps(150, 1, 3)
        seen = seen._replace(context=(seen.context > 0).astype(float))
        model = EstimatorArms(BernoulliNB(), 1, 3, joint=False, **options(partial=True))
        for start in range(0, 150, 10):
            model.learn(Steps(*(column[start : start + 10] for column in seen)))
        whole = BernoulliNB().fit(seen.context, seen.reward > 0)
        np.testing.assert_allclose(model.mean(seen.context)[:, 0], whole.predict_proba(seen.context)[:, 1], rtol=1e-12)

    def test_only_what_is_remembered_is_fitted(self) -> None:
        seen, model = steps(100, 1, 2), EstimatorArms(LinearRegression(), 1, 2, joint=False, **options(memory=30))
        model.learn(Steps(*(column[:50] for column in seen)))
        model.learn(Steps(*(column[50:] for column in seen)))
        expected = LinearRegression().fit(seen.context[-30:], seen.reward[-30:]).predict(seen.context)
        np.testing.assert_array_equal(model.mean(seen.context)[:, 0], expected)

    def test_bootstraps_spread_as_the_theory_says(self) -> None:
        rng = np.random.default_rng(0)
        seen = Steps(np.ones((100, 1)), np.zeros(100, np.int64), rng.normal(size=100))
        model = EstimatorArms(DecisionTreeRegressor(), 1, 1, joint=False, **options(bootstraps=100))
        model.learn(seen)
        # The mean of 100 rewards is known to a tenth of their deviation.
        spread = float(model.deviation(np.ones((1, 1)))[0, 0])
        assert spread == pytest.approx(seen.reward.std() / 10, rel=0.2)
        drawn = model.draw(np.ones((4000, 1)), rng, 1.0)
        assert drawn.std() == pytest.approx(spread, rel=0.1)

    def test_until_it_is_fitted_an_arm_is_worth_its_mean_reward(self) -> None:
        model, rows = EstimatorArms(DecisionTreeRegressor(), 2, 1, joint=False, **options()), np.zeros((4000, 1))
        model.learn(Steps(np.zeros((3, 1)), np.zeros(3, np.int64), np.array([1.0, 0.0, 2.0])))
        # Beside its rewards each arm is thought to have had one of initial_value, 0.
        assert model.mean(rows)[0].tolist() == [0.75, 0.0]
        assert model.deviation(rows)[0].tolist() == [0.5, 1.0]
        assert model.draw(rows, np.random.default_rng(0), 0.0)[0].tolist() == [0.75, 0.0]
        drawn = model.draw(rows, np.random.default_rng(0), 2.0)
        np.testing.assert_allclose(drawn.mean(0), [0.75, 0.0], atol=0.1)
        np.testing.assert_allclose(drawn.std(0), [1.0, 2.0], rtol=0.05)

    def test_an_estimator_s_own_deviation_is_taken(self) -> None:
        seen, model = steps(60, 1, 2), EstimatorArms(BayesianRidge(), 1, 2, joint=False, **options())
        assert model.has_deviation
        model.learn(seen)
        told = BayesianRidge().fit(seen.context, seen.reward).predict(seen.context, return_std=True)[1]
        np.testing.assert_array_equal(model.deviation(seen.context)[:, 0], told)
        drawn = model.draw(np.tile(seen.context[:1], (5000, 1)), np.random.default_rng(0), 1.0)
        assert drawn.std() == pytest.approx(told[0], rel=0.05)

    def test_what_cannot_be_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"agent.partial=true needs partial_fit, which DecisionTreeRegressor does"):
            EstimatorArms(DecisionTreeRegressor(), 1, 1, joint=False, **options(partial=True))
        with pytest.raises(UsageError, match=r"agent.memory is 0"):
            EstimatorArms(DecisionTreeRegressor(), 1, 1, joint=False, **options(memory=0))
        with pytest.raises(RunError, match="KNeighborsRegressor cannot be fitted"):
            EstimatorArms(KNeighborsRegressor(metric="nonsense"), 1, 1, joint=False, **options()).learn(steps(50, 1, 1))


class TestRecommenders:
    def test_a_row_holds_what_is_known_and_the_reward(self) -> None:
        context = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
        seen = Steps(context, np.array([2, 0]), np.array([1.0, 0.0]))
        model = RecommenderArms(Popularity("count"), 3, 3, unknown="missing", **options(update_every=2))
        model.learn(seen)
        # Contexts in their order; of the first one only what is known and what was shown is there, zeros among it.
        ratings = model.members[0][0].ratings_
        np.testing.assert_array_equal(ratings.toarray(), [[0, 0, 1], [1, 0, 1]])
        assert ratings.indices.tolist() == [0, 2, 0, 1, 2]
        np.testing.assert_array_equal(model.mean(context)[0], [2.0, 1.0, 2.0])
        model.learn(Steps(context[:1], np.array([2]), np.array([0.0])))
        model.learn(Steps(context[:1], np.array([2]), np.array([0.0])))
        # The same user was shown the item three times, and liked it once.
        np.testing.assert_allclose(model.members[0][0].ratings_.toarray()[1], [1, 0, 1 / 3])
        factors = MatrixFactorization(2, solver="als", random_state=0)
        model = RecommenderArms(factors, 3, 3, unknown="zero", **options(update_every=2))
        model.learn(seen)
        assert model.members[0][0].ratings_.nnz == 6
        np.testing.assert_array_equal(model.members[0][0].ratings_.toarray(), [[0, 0, 1], [1, 0, 1]])

    def test_other_observations_than_rows_of_items_are_refused(self) -> None:
        with pytest.raises(UsageError, match="a recommender needs a number for each of the 3 items, and observations"):
            RecommenderArms(Popularity(), 3, 2, unknown="missing", **options())
        with pytest.raises(UsageError, match=r"agent.unknown is no; it must be one of missing, zero"):
            RecommenderArms(Popularity(), 3, 3, unknown="no", **options())


def bandit(width: int, arms: int, explorer: Any, estimator: Any = None, **changed: Any) -> Bandit:
    settings = {**OPTIONS, "ridge": 1.0, "joint": False, "unknown": "missing", "rng": np.random.default_rng(0)}
    spaces_of = {"observation_space": spaces.Box(-9, 9, (width,)), "action_space": spaces.Discrete(arms)}
    return by_keys(Bandit, explorer=explorer, estimator=estimator, **{**spaces_of, **settings, **changed})  # type: ignore[no-any-return]


def regret(explorer: Any, seed: int) -> np.ndarray:
    """Return the regret, summed up, in a linear bandit of five arms with known weights."""
    rng = np.random.default_rng(seed)
    weights, arms = rng.normal(size=(5, 4)), np.arange(5)
    model, lost = RidgeArms(5, 4, ridge=1.0, intercept=False), []
    for step in range(1200):
        context = rng.normal(size=(1, 4)) / 2
        worth = context[0] @ weights.T
        action = int(explorer(model, context, step, rng, None)[0])
        reward = worth[action] + 0.5 * rng.normal()
        model.learn(Steps(context, arms[action : action + 1], np.array([reward])))
        lost.append(worth.max() - worth[action])
    return np.cumsum(lost)


@pytest.mark.parametrize("explorer", [Bound(0.5), Thompson(0.5)], ids=["ucb", "thompson"])
def test_regret_of_linear_bandits_grows_sublinearly_and_less_than_with_a_fixed_epsilon(explorer: Any) -> None:
    for seed in range(2):
        found, other = regret(explorer, seed), regret(EpsilonGreedy(Constant(0.1)), seed)
        # The last quarter costs less than a third of the first; with epsilon it goes on.
        assert found[-1] - found[900] < found[300] / 3
        assert found[-1] < 0.8 * other[-1]


@pytest.mark.parametrize("estimator", [None, LinearRegression()], ids=str)
@pytest.mark.parametrize(
    "explorer", [EpsilonGreedy(Constant(0.2)), Bound(1.0), Thompson(1.0)], ids=lambda e: type(e).__name__
)
def test_the_best_arm_of_a_slot_machine_is_found(explorer: Any, estimator: Any) -> None:
    env = SerialEnvironment(
        [lambda: SlotMachine(5, problem=1, mean=0.0, spread=1.0, deviation=0.5, drift=0.0, max_steps=100)] * 8
    )
    agent = bandit(
        *(1, 5, explorer, estimator),
        bootstraps=0 if estimator is None or not explorer.needs_deviation else 3,
        observation_space=env.observation_space,
    )
    stream = interact(agent, env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda step: [*range(8)])
    for _ in train(agent, stream, total_steps=800):
        pass
    best = int(SlotMachine(5, 1, 0.0, 1.0, 0.5, 0.0, None).means.argmax())
    assert agent.model.mean(np.ones((1, 1))).argmax() == best


def test_an_explorer_that_needs_deviations_refuses_an_estimator_without() -> None:
    with pytest.raises(
        UsageError, match=r"UpperBound needs deviations, which LinearRegression does not have; set agent.bo"
    ):
        bandit(2, 2, Bound(1.0), LinearRegression())
    with pytest.raises(UsageError, match=r"agent.explorer.scale is -1; it must be at least 0"):
        Thompson(-1)


@pytest.mark.parametrize("joint", [False, True])
def test_an_estimator_that_cannot_be_saved_is_refused_at_the_start(joint: bool) -> None:
    with pytest.raises(
        UsageError, match=r"agent.estimator cannot be used: KNeighborsRegressor read again cannot predict"
    ):
        bandit(2, 2, EpsilonGreedy(Constant(0.1)), KNeighborsRegressor(algorithm="kd_tree"), joint=joint)


def test_legal_actions_alone_are_chosen() -> None:
    rng, model, legal = np.random.default_rng(0), RidgeArms(3, 1, ridge=1.0, intercept=False), np.zeros((50, 3), bool)
    legal[:, 1] = True
    for explorer in (EpsilonGreedy(Constant(0.5)), Bound(1.0), Thompson(1.0)):
        assert set(explorer(model, np.ones((50, 1)), 0, rng, legal)) == {1}


@pytest.mark.parametrize(
    "estimator", [None, DecisionTreeRegressor(), GaussianNB(), MatrixFactorization(2, random_state=0)], ids=str
)
def test_a_state_goes_on_with_the_same_bits(estimator: Any) -> None:
    made = [bandit(3, 3, Thompson(1.0), estimator, bootstraps=3, update_every=20) for _ in range(2)]
    first, second = (agent.model for agent in made)
    for part in range(5):
        first.learn(steps(15, 3, 3, part))
    made[1].load_state_dict(made[0].state_dict())
    for model in (first, second):
        for part in range(5, 9):
            model.learn(steps(15, 3, 3, part))
    assert_same(made[0].state_dict(), made[1].state_dict())
    context = steps(6, 3, 3).context
    assert_same(*(model.draw(context, np.random.default_rng(1), 1.0) for model in (first, second)))
