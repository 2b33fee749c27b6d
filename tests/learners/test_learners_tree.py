from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import sklearn.tree
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import house_prices
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import KFold, cross_val_score

from rlkit.core.types import Array
from rlkit.learners.estimators.tree import DecisionTreeClassifier, DecisionTreeRegressor, number_of_features

COLUMNS = ("OverallQual", "GrLivArea", "GarageCars")


def rmse(model: Any, X: Array, y: Array) -> float:
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


def assert_same_tree(ours: Any, theirs: Any) -> None:
    """Compare every array of two trees."""
    ours, theirs = ours.tree_, theirs.tree_
    for name in ("children_left", "children_right", "feature", "n_node_samples", "threshold"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name in ("impurity", "weighted_n_node_samples", "value"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-7, atol=1e-9, err_msg=name)
    assert (ours.node_count, ours.n_leaves, ours.max_depth) == (theirs.node_count, theirs.n_leaves, theirs.max_depth)


class TestHousePrices:
    def test_the_criterion_of_standard_deviations(self) -> None:
        X, y = house_prices(*COLUMNS)
        model = DecisionTreeRegressor(criterion="std", min_samples_leaf=5).fit(X, y)
        assert model.score(X, y) == pytest.approx(0.8504381072711565, rel=1e-14)
        assert rmse(model, X, y) == pytest.approx(30712.460628635836, rel=1e-14)
        assert model.get_n_leaves() == 225

    def test_the_criterion_of_variances_and_scikit_learns_tree(self) -> None:
        X, y = house_prices(*COLUMNS)
        model = DecisionTreeRegressor(min_samples_leaf=5).fit(X, y)
        assert model.score(X, y) == pytest.approx(0.8555666521230774, rel=1e-14)
        assert rmse(model, X, y) == pytest.approx(30181.295362094053, rel=1e-14)
        assert model.get_n_leaves() == 224
        twin = sklearn.tree.DecisionTreeRegressor(min_samples_leaf=5, random_state=0).fit(X, y)
        assert_same_tree(model, twin)
        np.testing.assert_allclose(model.feature_importances_, twin.feature_importances_, rtol=1e-10)

    def test_depth_2(self) -> None:
        X, y = house_prices(*COLUMNS)
        model = DecisionTreeRegressor(max_depth=2).fit(X, y)
        assert model.score(X, y) == pytest.approx(0.6336246655552089, rel=1e-14)
        assert rmse(model, X, y) == pytest.approx(48069.23940764968, rel=1e-14)

    @pytest.mark.parametrize(("options", "score"), [({"min_samples_leaf": 5}, 0.7495), ({"max_depth": 2}, 0.6282)])
    def test_held_out(self, options: dict[str, Any], score: float) -> None:
        X, y = house_prices(*COLUMNS)
        scores = cross_val_score(DecisionTreeRegressor(**options), X, y, cv=KFold(5, shuffle=True, random_state=0))
        assert scores.mean() == pytest.approx(score, abs=5e-4)


def test_two_splits_classify_144_of_150_irises() -> None:
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=2).fit(X[:, 2:], y)
    assert (model.predict(X[:, 2:]) == y).sum() == 144


def uneven(rows: int) -> Array:
    """Return weights of which no two sums are equal: only splits of the same rows are equally good then.

    Of equally good ones scikit-learn takes one at random, and rlkit the first.
    """
    return np.random.default_rng(0).uniform(0.5, 1.5, rows)


OPTIONS = [
    {"max_depth": 4},
    {"max_leaf_nodes": 12},
    {"min_samples_leaf": 20},
    {"min_samples_split": 100, "min_weight_fraction_leaf": 0.01},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_splits_of_numbers_are_scikit_learns(options: dict[str, Any]) -> None:
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)
    ours = DecisionTreeRegressor(**options).fit(X, y, uneven(len(y)))
    theirs = sklearn.tree.DecisionTreeRegressor(**options, random_state=0).fit(X, y, uneven(len(y)))
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)


@pytest.mark.parametrize("criterion", ["gini", "entropy"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits])
@pytest.mark.parametrize("options", OPTIONS)
def test_splits_of_classes_are_scikit_learns(load: Any, criterion: Any, options: dict[str, Any]) -> None:
    X, y = load(return_X_y=True)
    X = X.astype(np.float32)
    ours = DecisionTreeClassifier(criterion=criterion, **options).fit(X, y, uneven(len(y)))
    theirs = sklearn.tree.DecisionTreeClassifier(criterion=criterion, **options, random_state=0)
    theirs.fit(X, y, uneven(len(y)))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_all_arrays_of_a_tree_are_scikit_learns() -> None:
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)
    ours = DecisionTreeRegressor(min_samples_leaf=20).fit(X, y)
    theirs = sklearn.tree.DecisionTreeRegressor(min_samples_leaf=20, random_state=0).fit(X, y)
    assert_same_tree(ours, theirs)
    np.testing.assert_allclose(ours.feature_importances_, theirs.feature_importances_, rtol=1e-9)


def test_several_targets_share_a_tree() -> None:
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)
    both = np.stack([y, X[:, 2] * 1000], axis=1)
    ours = DecisionTreeRegressor(max_depth=4).fit(X, both)
    theirs = sklearn.tree.DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, both)
    assert_same_tree(ours, theirs)
    assert ours.predict(X).shape == (len(X), 2)
    kinds = np.stack([np.where(y > 140, "high", "low"), np.where(X[:, 2] > 0, "x", np.where(y > 90, "y", "z"))], axis=1)
    sorter = DecisionTreeClassifier(max_depth=3).fit(X, kinds)
    twin = sklearn.tree.DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, kinds)
    np.testing.assert_array_equal(sorter.predict(X), twin.predict(X))
    for mine, its in zip(sorter.predict_proba(X), twin.predict_proba(X), strict=True):
        np.testing.assert_allclose(mine, its)
    assert [one.shape for one in sorter.predict_log_proba(X)] == [(len(X), 2), (len(X), 3)]
    assert [classes.tolist() for classes in sorter.classes_] == [["high", "low"], ["x", "y", "z"]]


def impurity(criterion: str, y: Array, w: Array) -> float:
    """Return a side's impurity times its weight, written down plainly."""
    mean = (w @ y) / w.sum()
    if criterion == "squared_error":
        return float(w @ (y - mean) ** 2)
    if criterion == "std":
        return float(w.sum() * np.sqrt(w @ (y - mean) ** 2 / (w.sum() - 1))) if w.sum() > 1 else 0.0
    shares = np.bincount(y.astype(int), w) / w.sum()
    if criterion == "gini":
        return float(w.sum() * (1 - (shares**2).sum()))
    shares = shares[shares > 0]
    return float(-w.sum() * (shares * np.log2(shares)).sum())


def splits(X: Array) -> list[tuple[int, float, bool, Array]]:
    """Return every split: feature, threshold, whether missing values go left, and which rows do."""
    found = []
    for feature, column in enumerate(X.T):
        values = np.unique(column[~np.isnan(column)])
        missing = np.isnan(column)
        for left in (False, True) if missing.any() else (False,):
            thresholds = [(a + b) / 2 for a, b in itertools.pairwise(values.tolist())]
            if missing.any() and not left and len(values):
                thresholds.append(np.inf)
            sides = [np.where(missing, left, column <= threshold).astype(bool) for threshold in thresholds]
            found += [(feature, threshold, left, side) for threshold, side in zip(thresholds, sides, strict=True)]
    return found


@given(
    seed=st.integers(0, 10**6),
    criterion=st.sampled_from(["squared_error", "std", "gini", "entropy"]),
    rows=st.integers(2, 90),
    least=st.integers(1, 3),
    missing=st.sampled_from([0.0, 0.3]),
    weighted=st.booleans(),
)
@settings(max_examples=150)
def test_the_first_of_the_best_splits_is_taken(
    seed: int, criterion: Any, rows: int, least: int, missing: float, weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 7, (rows, 3)).astype(float)
    X[:, 2] = rng.normal(size=rows)
    X[rng.random(X.shape) < missing] = np.nan
    y = rng.integers(0, 3, rows).astype(float)
    w = rng.integers(1, 4, rows).astype(float) if weighted else np.ones(rows)
    kind = DecisionTreeRegressor if criterion in ("squared_error", "std") else DecisionTreeClassifier
    model = kind(criterion=criterion, max_depth=1, min_samples_leaf=least).fit(X, y, w)
    tree = model.tree_
    possible = [split for split in splits(X) if least <= split[3].sum() <= rows - least]
    if len(np.unique(y)) == 1 or not possible:
        assert tree.node_count == 1
        return
    values = [sum(impurity(criterion, y[side], w[side]) for side in (left, ~left)) for *_, left in possible]
    best = min(values)
    first = next(split for split, value in zip(possible, values, strict=True) if value <= best + 1e-9 * (1 + best))
    chosen = np.where(
        np.isnan(X[:, tree.feature[0]]), tree.missing_go_to_left[0], X[:, tree.feature[0]] <= tree.threshold[0]
    ).astype(bool)
    found = sum(impurity(criterion, y[side], w[side]) for side in (chosen, ~chosen))
    assert found == pytest.approx(best, rel=1e-9, abs=1e-9)
    np.testing.assert_array_equal(model.apply(X), np.where(chosen, 1, 2))
    if criterion == "gini":  # whose sums of whole numbers are exact, so that equally good splits are found equal
        np.testing.assert_array_equal(chosen, first[3])


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 400), values=st.sampled_from([2, 50, 10**6]))
@settings(max_examples=60)
def test_full_trees_remember_different_rows(seed: int, rows: int, values: int) -> None:
    """Every leaf is pure; with as many different values as these, all ways to sort are taken."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, values, (rows, 2)).astype(float), rng.normal(size=rows)
    model = DecisionTreeRegressor().fit(X, y)
    _, group = np.unique(X, axis=0, return_inverse=True)
    means = np.bincount(group.ravel(), y) / np.bincount(group.ravel())
    np.testing.assert_allclose(model.predict(X), means[group.ravel()], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [100, 1000, 9000])
def test_large_nodes_are_sorted_as_small_ones_are(rows: int) -> None:
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, 4)).astype(np.float32).astype(float)
    y = np.sin(3 * X[:, 0]) + X[:, 1] + rng.normal(size=rows)
    ours = DecisionTreeRegressor(max_depth=6, min_samples_leaf=5).fit(X, y)
    assert_same_tree(ours, sklearn.tree.DecisionTreeRegressor(max_depth=6, min_samples_leaf=5).fit(X, y))


class TestMissingValues:
    def test_they_go_where_they_do_best(self) -> None:
        X = np.array([[0.0], [1.0], [2.0], [3.0], [np.nan], [np.nan]])
        left = DecisionTreeRegressor(max_depth=1).fit(X, [0, 0, 9, 9, 0, 0])
        assert (left.tree_.threshold[0], left.tree_.missing_go_to_left[0]) == (1.5, 1)
        right = DecisionTreeRegressor(max_depth=1).fit(X, [0, 0, 9, 9, 9, 9])
        assert (right.tree_.threshold[0], right.tree_.missing_go_to_left[0]) == (1.5, 0)
        alone = DecisionTreeRegressor(max_depth=1).fit(X, [0, 0, 0, 0, 9, 9])
        assert (alone.tree_.threshold[0], alone.tree_.missing_go_to_left[0]) == (np.inf, 0)
        assert alone.predict([[np.nan], [7.0]]).tolist() == [9, 0]

    def test_unseen_ones_go_with_most_rows(self) -> None:
        model = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0], [2.0]], [0, 9, 9])
        assert model.predict([[np.nan]]).tolist() == [9]
        model = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0], [2.0]], [9, 9, 0])
        assert model.predict([[np.nan]]).tolist() == [9]

    def test_equal_scikit_learns(self) -> None:
        X, y = load_diabetes(return_X_y=True)
        X = X.astype(np.float32)
        X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
        ours = DecisionTreeRegressor(max_depth=4).fit(X, y)
        theirs = sklearn.tree.DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, y)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)

    def test_infinity_is_refused(self) -> None:
        with pytest.raises(ValueError, match="infinity"):
            DecisionTreeRegressor().fit([[0.0], [np.inf]], [0, 1])


def test_random_thresholds_lie_between_the_extremes_and_differ_by_seed() -> None:
    X, y = load_diabetes(return_X_y=True)
    trees = [DecisionTreeRegressor(splitter="random", random_state=seed).fit(X, y).tree_ for seed in range(3)]
    assert len({tree.threshold[0] for tree in trees}) == 3
    for tree in trees:
        inner = tree.children_left >= 0
        columns = X[:, tree.feature[inner]]
        assert np.all((columns.min(axis=0) <= tree.threshold[inner]) & (tree.threshold[inner] < columns.max(axis=0)))
        assert tree.n_node_samples[~inner].max() < 30
    X[::3] = np.nan
    assert DecisionTreeRegressor(splitter="random", random_state=0).fit(X, y).score(X, y) > 0.5


def test_a_split_looks_at_so_many_features() -> None:
    assert [number_of_features(asked, 20) for asked in (None, 3, 50, 0.25, 0.001, "sqrt", "log2")] == [
        *(20, 3, 20, 5, 1, 4, 4)
    ]
    X, y = load_diabetes(return_X_y=True)
    roots = {
        DecisionTreeRegressor(max_depth=1, max_features=1, random_state=i).fit(X, y).tree_.feature[0] for i in range(60)
    }
    assert roots == set(range(10))


def test_constant_features_do_not_count() -> None:
    rng = np.random.default_rng(0)
    X = np.zeros((50, 8))
    X[:, 5] = rng.normal(size=50)
    for seed in range(10):
        tree = DecisionTreeRegressor(max_features=1, max_depth=1, random_state=seed).fit(X, X[:, 5]).tree_
        assert tree.feature[0] == 5


def test_whole_numbers_far_from_zero_lose_nothing() -> None:
    X, y = load_diabetes(return_X_y=True)
    near, far = (DecisionTreeRegressor(max_depth=6).fit(X, y + offset) for offset in (0.0, 2.0**40))
    np.testing.assert_array_equal(near.apply(X), far.apply(X))
    fine = DecisionTreeRegressor(max_depth=6).fit(X, y * 2.0**-40)
    np.testing.assert_array_equal(near.apply(X), fine.apply(X))


def test_sparse_rows_and_rows_without_weight() -> None:
    X, y = load_digits(return_X_y=True)
    dense = DecisionTreeClassifier(max_depth=5).fit(X, y)
    thin = DecisionTreeClassifier(max_depth=5).fit(sparse.csr_array(X), y)
    np.testing.assert_array_equal(dense.predict(X), thin.predict(sparse.csr_matrix(X)))
    weights = (np.arange(len(y)) % 2).astype(float)
    half = DecisionTreeClassifier(max_depth=5).fit(X[1::2], y[1::2])
    np.testing.assert_array_equal(half.predict(X), DecisionTreeClassifier(max_depth=5).fit(X, y, weights).predict(X))
    assert half.get_depth() == 5
    assert half.feature_importances_.sum() == pytest.approx(1)
    assert DecisionTreeRegressor().fit([[0.0], [0.0]], [1, 2]).feature_importances_.tolist() == [0]


def test_class_weights_are_weights_of_rows() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    weighted = DecisionTreeClassifier(max_depth=3, class_weight="balanced").fit(X, y)
    share = len(y) / 2 / np.bincount(y)
    given_weights = DecisionTreeClassifier(max_depth=3).fit(X, y, share[y])
    np.testing.assert_allclose(weighted.predict_proba(X), given_weights.predict_proba(X))
    with np.errstate(divide="raise"):
        assert weighted.predict_log_proba(X).min() == -np.inf
