from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.ensemble
from real_data import house_prices
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.model_selection import KFold, cross_val_score, train_test_split

from rlkit.learners.estimators.forest import ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from rlkit.learners.estimators.tree import DecisionTreeRegressor


def test_house_prices_held_out() -> None:
    """A forest of 100 trees has a mean R2 of .7896 in five folds, where one tree has .7495."""
    X, y = house_prices("OverallQual", "GrLivArea", "GarageCars")
    model = RandomForestRegressor(min_samples_leaf=5, random_state=0)
    scores = cross_val_score(model, X, y, cv=KFold(5, shuffle=True, random_state=0))
    assert scores.mean() == pytest.approx(0.7896, abs=0.006)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomForestRegressor, sklearn.ensemble.RandomForestRegressor),
        (ExtraTreesRegressor, sklearn.ensemble.ExtraTreesRegressor),
    ],
)
def test_regression_is_as_good_as_scikit_learns(ours: Any, theirs: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    options: dict[str, Any] = {"n_estimators": 60, "min_samples_leaf": 3, "max_features": 0.5}
    scores = [
        cross_val_score(kind(**options, random_state=0), X, y, cv=KFold(5, shuffle=True, random_state=0)).mean()
        for kind in (ours, theirs)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_classification_is_as_good_as_scikit_learns() -> None:
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)  # noqa: N806
    ours = RandomForestClassifier(60, random_state=0).fit(X, y)
    theirs = sklearn.ensemble.RandomForestClassifier(60, random_state=0).fit(X, y)
    assert ours.score(X_test, y_test) == pytest.approx(theirs.score(X_test, y_test), abs=0.015)
    assert ours.score(X_test, y_test) > 0.95
    np.testing.assert_allclose(ours.feature_importances_, theirs.feature_importances_, atol=0.015)
    assert ours.feature_importances_.sum() == pytest.approx(1)


def test_without_anything_random_a_forest_is_its_tree() -> None:
    X, y = load_diabetes(return_X_y=True)
    forest = RandomForestRegressor(3, max_depth=5, bootstrap=False).fit(X, y)
    tree = DecisionTreeRegressor(max_depth=5).fit(X, y)
    np.testing.assert_allclose(forest.predict(X), tree.predict(X))
    np.testing.assert_allclose(forest.feature_importances_, tree.feature_importances_)
    np.testing.assert_array_equal(forest.apply(X), np.stack([tree.apply(X)] * 3, axis=1))


def test_a_forest_is_the_mean_of_its_trees() -> None:
    X, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(7, max_depth=2, random_state=1).fit(X, y)
    mean = np.mean([tree.predict(X)[:, 0] for tree in forest.trees_], axis=0)
    np.testing.assert_allclose(forest.predict_proba(X), mean)
    assert len({tree.threshold[0] for tree in forest.trees_}) > 1


@pytest.mark.parametrize("kind", [RandomForestRegressor, RandomForestClassifier, ExtraTreesRegressor])
def test_threads_rows_order_and_repetition_change_nothing(kind: Any) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, len(y))
    options: dict[str, Any] = {"n_estimators": 6, "max_depth": 6, "random_state": 4}
    model = kind(**options).fit(X, y, sample_weight=weights)
    threads = kind(**options, n_jobs=2).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(X), threads.predict(X))
    order = rng.permutation(np.repeat(np.arange(len(y)), weights))
    repeated = kind(**options).fit(X[order], y[order])
    np.testing.assert_allclose(model.predict(X), repeated.predict(X), rtol=1e-9)


def test_so_many_rows_are_drawn() -> None:
    X, y = load_diabetes(return_X_y=True)
    for asked, drawn in ((None, 442), (50, 50), (0.25, 110)):
        forest = RandomForestRegressor(3, max_samples=asked, max_depth=1, random_state=0).fit(X, y)
        assert [tree.weighted_n_node_samples[0] for tree in forest.trees_] == [drawn] * 3
    distinct = RandomForestRegressor(20, max_depth=1, random_state=0).fit(X, y).trees_
    assert np.mean([tree.n_node_samples[0] for tree in distinct]) == pytest.approx(442 * (1 - np.exp(-1)), rel=0.02)
    fractions = RandomForestRegressor(3, max_depth=1, random_state=0).fit(X, y, sample_weight=np.full(442, 0.001))
    assert fractions.trees_[0].weighted_n_node_samples[0] == 442


def test_classes_weigh_what_they_are_given_and_missing_values_are_taken() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    plain = RandomForestClassifier(20, random_state=0, max_depth=3).fit(X, y)
    heavy = RandomForestClassifier(20, random_state=0, max_depth=3, class_weight={0: 50, 1: 1}).fit(X, y)
    assert plain.score(X, y) > 0.9
    assert (heavy.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()


def test_several_targets() -> None:
    X, y = load_diabetes(return_X_y=True)
    both = np.stack([y, -y], axis=1)
    found = ExtraTreesRegressor(5, random_state=0).fit(X, both).predict(X)
    np.testing.assert_allclose(found, both, atol=1e-9)
    halves = RandomForestClassifier(5, random_state=0).fit(X, both > [150, -100])
    assert [proba.shape for proba in halves.predict_proba(X)] == [(442, 2), (442, 2)]
    assert (halves.predict(X) == (both > [150, -100])).mean() > 0.95
