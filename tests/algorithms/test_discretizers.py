"""Discretisers against cells, clusters and earnings computed by hand, and tabular agents that stand on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from sklearn.cluster import DBSCAN, Birch, MiniBatchKMeans
from sklearn.cluster import KMeans as Oracle
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.tree import DecisionTreeRegressor
from tables import AGENTS, make, monte_carlo
from transitions import seen, transition

import rlkit
from rlkit.algorithms.tabular.discretizers import Clusters, Discretizer, Grid, Leaves, earnings
from rlkit.cli.main import main
from rlkit.core.checkpoint import Store
from rlkit.core.types import RunError, UsageError
from rlkit.learners.estimators.kmeans import KMeans
from toys import assert_same

PLANE = spaces.Box(-np.inf, np.inf, (2,))
UNIT = spaces.Box(0.0, 1.0, (2,))


def steps(rows: Any, reward: Any = None, discount: Any = None, last: Any = None, valid: Any = None) -> Any:
    n = len(rows)
    ones = np.ones(n, np.float32)
    discount = ones if discount is None else discount
    given = {"last": [False] * n if last is None else last, "valid": valid}
    return transition(rows, [0] * n, ones if reward is None else reward, discount, rows, **given)


def grid(space: Any = UNIT, **keys: Any) -> Grid:
    return Grid(**{"bins": 4, "low": None, "high": None, "fit_after": 4, "observation_space": space, **keys})


def clusters(estimator: Any = None, space: Any = PLANE, **keys: Any) -> Clusters:
    estimator = KMeans(3, random_state=0) if estimator is None else estimator
    given = {"standardize": False, "fit_after": 60, "rng": np.random.default_rng(0), "observation_space": space}
    return Clusters(estimator=estimator, **{**given, **keys})


def leaves(estimator: Any = None, **keys: Any) -> Leaves:
    estimator = DecisionTreeRegressor(random_state=0) if estimator is None else estimator
    given = {"horizon": 2, "fit_after": 6, "rng": np.random.default_rng(0), "observation_space": PLANE}
    return Leaves(estimator=estimator, **{**given, **keys})


class TestGrid:
    def test_cells_of_the_spaces_own_bounds_are_known_at_once(self) -> None:
        made = grid(bins=[2, 4])
        assert made.size == 8
        rows = np.array([[0.0, 0.0], [0.49, 0.26], [0.5, 0.99], [1.0, 1.0]], np.float32)
        assert made.index(rows).tolist() == [0, 1, 7, 7]

    def test_what_lies_beyond_belongs_to_the_outermost_cells(self) -> None:
        made = grid(PLANE, low=[0, 0], high=[1, 1])
        assert made.index(np.array([[-9.0, 0.1], [9.0, 0.1], [0.3, 99.0]])).tolist() == [0, 12, 7]

    def test_missing_bounds_come_from_what_is_gathered(self) -> None:
        made = grid(spaces.Box(np.array([0, -np.inf]), np.array([1, np.inf]), dtype=np.float64), low=[0.5, None])
        made.gather(steps([[0.2, -4.0], [0.9, 2.0], [0.7, -99.0]], valid=[True, True, False]), 1.0)
        assert made.size == 0
        made.gather(steps([[0.2, 0.0], [0.9, 4.0]]), 1.0)
        assert made.size == 16
        # From 0.5 to 1, and from -4 to 4.
        assert made.index(np.array([[0.5, -4.0], [0.74, -0.1], [1.0, 4.0]])).tolist() == [0, 5, 15]

    @pytest.mark.parametrize(
        ("keys", "line"),
        [
            ({"bins": [2, 2, 2]}, "agent.discretizer.bins has 3 values; observations have 2"),
            ({"bins": 0}, "agent.discretizer.bins is 0; each must be at least 1"),
            ({"low": [0.0]}, "agent.discretizer.low has 1 values; observations have 2"),
            ({"low": [2.0, 0.0]}, "each low must be below its high"),
            ({"fit_after": 0}, "agent.discretizer.fit_after is 0; it must be at least 1"),
            (
                {"space": spaces.Discrete(3)},
                r"agent.discretizer is for Box observations, not Discrete\(3\); leave it out",
            ),
        ],
    )
    def test_what_cannot_be_is_refused(self, keys: dict[str, Any], line: str) -> None:
        with pytest.raises(UsageError, match=line):
            grid(**keys)


def blobs(n: int = 60) -> Any:
    """Return points around three centres, in turn."""
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    return centres[np.arange(n) % 3] + np.random.default_rng(0).normal(0, 0.5, (n, 2))


class TestClusters:
    @pytest.mark.parametrize(
        "estimator",
        [KMeans(3, random_state=0), Oracle(3, random_state=0), MiniBatchKMeans(3, random_state=0)],
        ids=lambda one: type(one).__name__,
    )
    @pytest.mark.parametrize("standardize", [False, True])
    def test_each_blob_becomes_a_state(self, estimator: Any, standardize: bool) -> None:
        made = clusters(estimator, standardize=standardize)
        made.gather(steps(blobs()), 1.0)
        assert made.size == 3 + 1
        found = made.index(blobs(30))
        assert found.dtype == np.int64
        assert sorted(found[:3].tolist()) == [0, 1, 2]
        assert (found.reshape(-1, 3) == found[:3]).all()

    def test_standardizing_lets_no_dimension_outweigh_the_others(self) -> None:
        rows = blobs() * [1.0, 1000.0]
        indices = []
        for standardize in (True, False):
            made = clusters(KMeans(2, random_state=0), standardize=standardize)
            rows = np.array([[x, 1e4 * np.sin(i)] for i, x in enumerate([0, 10] * 30)])
            made.gather(steps(rows), 1.0)
            indices.append(made.index(rows))
        by_x = indices[0] == indices[0][0]
        assert (by_x == (np.arange(60) % 2 == 0)).all()
        assert not np.array_equal(indices[0] == indices[0][0], indices[1] == indices[1][0])

    def test_a_label_that_nothing_gathered_had_is_a_state_of_its_own(self) -> None:
        made = clusters(KMeans(3, random_state=0))
        made.gather(steps(blobs()), 1.0)
        made._known = made._known[1:]
        assert set(made.index(blobs()).tolist()) == {0, 1, 2} | {2}
        assert (made.index(blobs()) == 2).any()

    @pytest.mark.parametrize(
        "estimator", [LinearRegression(), DBSCAN(), GaussianMixture(2)], ids=lambda one: type(one).__name__
    )
    def test_what_is_no_clusterer_that_predicts_is_refused(self, estimator: Any) -> None:
        with pytest.raises(UsageError, match=r"agent.discretizer.estimator is a \w+, which is a .*must be a clusterer"):
            clusters(estimator)

    def test_a_clusterer_that_cannot_be_saved_is_refused_at_once(self) -> None:
        with pytest.raises(
            UsageError, match=r"estimator cannot be used: Birch.root_ is a _CFNode, which is no plain data"
        ):
            clusters(Birch(n_clusters=3))

    def test_more_clusters_than_rows_end_the_run_in_one_line(self) -> None:
        with pytest.raises(RunError, match="KMeans cannot be fitted to 60 rows"):
            clusters(KMeans(99)).gather(steps(blobs()), 1.0)


class TestLeaves:
    def test_earnings_are_the_next_rewards_discounted(self) -> None:
        columns = {
            "env": np.array([0, 0, 0, 0, 0, 1, 1, 1]),
            "reward": np.array([1.0, 2.0, 4.0, 8.0, 16.0, 1.0, 1.0, 1.0]),
            # Environment 0 terminates at its third step; 1 is truncated at its second.
            "discount": np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
            "last": np.array([False, False, True, False, False, False, True, False]),
        }
        columns["discount"] *= 0.5
        earned, whole = earnings(columns, 3)
        assert whole.tolist() == [True, True, True, False, False, False, False, False]
        assert earned[whole].tolist() == [1 + 0.5 * 2 + 0.25 * 4, 2 + 0.5 * 4, 4.0]
        earned, whole = earnings(columns, 2)
        assert whole.tolist() == [True, True, True, True, False, True, False, False]
        assert earned[whole].tolist() == [2.0, 4.0, 4.0, 16.0, 1.5]
        assert earnings(columns, 1)[0].tolist() == columns["reward"].tolist()
        assert earnings(columns, 1)[1].all()

    def test_states_are_told_apart_where_random_behaviour_earns_differently(self) -> None:
        made = leaves(horizon=1, fit_after=40)
        for i in range(20):
            # The first dimension decides the reward, the second is noise; the environments are gathered in turn.
            made.gather(steps([[0.1, i], [0.9, 20.0 - i]], reward=[0.0, 5.0]), 1.0)
        assert made.size == 2 + 1
        assert made.index(np.array([[0.0, 3.0], [1.0, 3.0], [0.2, 99.0]])).tolist() == [0, 1, 0]

    def test_rewards_are_discounted_by_the_agent_s_gamma(self) -> None:
        # Episodes of two steps, the second of which earns 1: the first earns gamma.
        def gathered(gamma: float) -> Leaves:
            made = leaves(horizon=2, fit_after=12)
            for t in range(12):
                end = t % 2 == 1
                made.gather(steps([[t % 2, 0.0]], reward=[end], discount=[1.0 - end], last=[end]), gamma)
            return made

        assert gathered(0.5).size == 2 + 1
        with pytest.raises(RunError, match="earned the same"):
            gathered(1.0)

    def test_steps_are_put_together_by_environment(self) -> None:
        made = leaves(horizon=2, fit_after=6)
        for t in range(3):
            # Environment 0 earns 0, 0 and 0; environment 1 earns 3, 3 and ends.
            made.gather(
                steps([[0.0, t], [1.0, t]], reward=[0.0, 3.0], discount=[1.0, float(t < 2)], last=[False, t == 2]), 1.0
            )
        # 0: 0 and 0 are whole; 1: 6, 6 and 3.
        assert made.size == 3 + 1
        assert len(set(made.index(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])).tolist())) == 3

    def test_equal_earnings_end_the_run_in_one_line(self) -> None:
        with pytest.raises(RunError, match="random behavior earned the same from each of 6 observations"):
            leaves().gather(steps(np.zeros((6, 2))), 1.0)

    def test_what_has_no_leaves_is_refused(self) -> None:
        from sklearn.ensemble import RandomForestRegressor

        with pytest.raises(UsageError, match=r"LinearRegression, which has no leaves .*tree_regressor"):
            leaves(LinearRegression())
        with pytest.raises(UsageError, match="RandomForestRegressor has 3 trees, but the leaves of one are the states"):
            leaves(RandomForestRegressor(3))
        with pytest.raises(UsageError, match="horizon is 0"):
            leaves(horizon=0)


MADE = {
    "grid": lambda: grid(PLANE, fit_after=60),
    "kmeans": clusters,
    "tree": lambda: leaves(fit_after=60),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_discretizer_read_again_goes_on_the_same(kind: str, tmp_path: Path) -> None:
    reward = blobs()[:, 0]
    whole: Discretizer = MADE[kind]()
    for part in range(3):
        store = Store(tmp_path / str(part))
        store.save(0, whole.state_dict())
        again: Discretizer = MADE[kind]()
        again.load_state_dict(store.load(0))
        for one in (whole, again):
            one.gather(steps(blobs()[:30], reward=reward[:30]), 1.0)
        assert_same(whole.state_dict(), again.state_dict())
        if part:
            assert np.array_equal(whole.index(blobs()), again.index(blobs()))
            break
    assert whole.size > 1


@pytest.mark.parametrize("kind", AGENTS)
def test_an_agent_acts_at_random_until_its_states_are_known_and_learns_in_them_then(kind: Any) -> None:
    agent = make(kind, observation_space=PLANE, discretizer=clusters(), epsilon=lambda step: 0.0)
    assert agent.q.values.shape == (0, 2)
    many = seen(np.zeros((2000, 2)))
    drawn = agent.act(many, (), explore=False, rng=np.random.default_rng(0))[0]
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)
    legal = seen(np.zeros((5, 2)), [[False, True]] * 5)
    assert agent.act(legal, (), explore=True, rng=np.random.default_rng(0))[0].tolist() == [1] * 5
    agent.observe(steps(blobs()))
    assert agent.update() is None
    assert (agent.q.values.shape, agent.steps) == ((4, 2), 60)
    ending = transition(blobs()[:1], [1], [8.0], [0.0], blobs()[1:2])
    for _ in range(20):
        agent.observe(ending)
        assert agent.update() is not None
    state = int(agent.states.index(blobs()[:1])[0])
    assert np.argwhere(agent.visits).tolist() == [[state, 1]]
    assert agent.act(seen(blobs()[:1]), (), explore=False, rng=np.random.default_rng(0))[0].tolist() == [1]


def test_off_policy_monte_carlo_begins_with_its_states() -> None:
    agent = monte_carlo(observation_space=PLANE, discretizer=clusters(fit_after=3), off_policy=True)
    for t in range(9):
        rows = [[float(t), 0.0]]
        agent.observe(transition(rows, [t % 2], [1.0], [0.0 if t % 4 == 3 else 1.0], rows))
        agent.update()
    assert agent.visits.sum() > 0
    assert agent._weights.shape == agent.q.values.shape


def test_a_table_and_its_states_are_read_again(tmp_path: Path) -> None:
    first, second = (make(AGENTS[0], observation_space=PLANE, discretizer=clusters()) for _ in range(2))
    first.observe(steps(blobs()))
    first.update()
    first.observe(transition(blobs()[:3], [0, 1, 0], [1.0, 2.0, 3.0], [1.0, 1.0, 0.0], blobs()[3:6]))
    first.update()
    store = Store(tmp_path)
    store.save(0, first.state_dict())
    second.load_state_dict(store.load(0))
    assert second.q_values.any()
    assert_same(first.state_dict(), second.state_dict())


CHOICES = {
    "grid": "",
    "kmeans": "agent.discretizer.estimator.n_clusters=20",
    "tree": "",
    "kmeans of scikit-learn": "discretizer@agent.discretizer=kmeans learner@agent.discretizer.estimator=sklearn "
    "agent.discretizer.estimator.estimator=sklearn.cluster.MiniBatchKMeans",
}


@pytest.mark.parametrize("name", CHOICES)
def test_each_discretizer_is_chosen_in_yaml(name: str, tmp_path: Path) -> None:
    choice = "" if " " in name else f"discretizer@agent.discretizer={name}"
    words = f"agent=sarsa env=cartpole {choice} {CHOICES[name]} agent.discretizer.fit_after=300 tuned=none".split()
    budget = ["total_steps=900", "eval.every=0", "checkpoint.every=450", "video=none", "logger=[csv]"]
    run = rlkit.train(*words, *budget, run_dir=tmp_path / "run")
    agent = run.load_agent("last")
    assert agent.states.size > 2
    assert agent.visits.sum() > 500


def test_a_discretizer_for_states_that_are_counted_already_is_refused_in_one_line(capsys: Any, tmp_path: Path) -> None:
    words = "train agent=q_learning env=frozen_lake discretizer@agent.discretizer=kmeans tuned=none"
    assert main([*words.split(), f"run_dir={tmp_path}/run"]) == 2
    assert capsys.readouterr().err == (
        "rlkit: agent.discretizer is for Box observations, not Discrete(16); leave it out\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_q_learning_over_clusters_balances_the_pole(seed: int, tmp_path: Path) -> None:
    run = rlkit.train("experiment=cartpole_clusters", seed=seed, video="none", logger="[csv]", run_dir=tmp_path / "run")
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 195
