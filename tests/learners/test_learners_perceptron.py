from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.preprocessing import StandardScaler

from rlkit.learners.estimators.perceptron import Perceptron


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_digits])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"tol": 0.1, "n_iter_no_change": 2}])
def test_in_the_order_given_it_is_scikit_learns(load: Any, options: dict[str, Any]) -> None:
    X, y = load(return_X_y=True)
    ours = Perceptron(shuffle=False, **options).fit(X, y)
    theirs = sklearn.linear_model.Perceptron(shuffle=False, **options).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    np.testing.assert_array_equal(ours.intercept_, theirs.intercept_)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.n_iter_ == theirs.n_iter_
    thin = Perceptron(shuffle=False, **options).fit(sparse.csr_array(X), y)
    np.testing.assert_array_equal(thin.coef_, ours.coef_)


def test_a_few_steps_by_hand() -> None:
    """Rows (2, +) and (-1, -): the first visit is a mistake, then none is."""
    model = Perceptron(shuffle=False, learning_rate=0.5).fit([[2.0], [-1.0]], [1, 0])
    assert (model.coef_.tolist(), model.intercept_.tolist()) == ([[1.0]], [0.5])
    assert model.cost_history_ == [[0.0] * 6]
    assert Perceptron(shuffle=False, max_iter=2).fit([[2.0], [-1.0]], [1, 0]).n_iter_ == 2


def test_separable_classes_are_separated() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    X = X[np.abs(X @ [1, -2, 3, 0, 1] + 0.5) > 0.3]
    y = X @ [1, -2, 3, 0, 1] + 0.5 > 0
    model = Perceptron(tol=0, n_iter_no_change=50, random_state=0).fit(X, y)
    assert model.score(X, y) == 1
    assert model.cost_history_[0][-1] == 0


def test_weights_are_visits_whatever_the_order() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(y)), weights))
    weighted = Perceptron(random_state=0).fit(X, y, sample_weight=weights)
    repeated = Perceptron(random_state=0).fit(X[order], y[order])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    in_order = Perceptron(shuffle=False).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(len(y)), weights)
    np.testing.assert_array_equal(in_order.coef_, Perceptron(shuffle=False).fit(X[rows], y[rows]).coef_)
    heavy = Perceptron(class_weight={0: 3, 1: 1}, shuffle=False).fit(X, y)
    threefold = np.repeat(np.arange(len(y)), np.where(y == 0, 3, 1))
    np.testing.assert_array_equal(heavy.coef_, Perceptron(shuffle=False).fit(X[threefold], y[threefold]).coef_)


def test_parts_go_on_where_the_last_one_ended() -> None:
    X, y = load_iris(return_X_y=True)
    model, twin = Perceptron(shuffle=False), sklearn.linear_model.Perceptron(shuffle=False)
    for part in (slice(None, None, 2), slice(1, None, 2)):
        model.partial_fit(X[part], y[part], classes=[0, 1, 2])
        twin.partial_fit(X[part], y[part], classes=[0, 1, 2])
    np.testing.assert_array_equal(model.coef_, twin.coef_)
    with pytest.raises(ValueError, match="y holds 5, which is none of the classes"):
        model.partial_fit(X, np.full(len(y), 5))
    with pytest.raises(ValueError, match="y holds 1 class"):
        Perceptron().fit(X, np.zeros(len(y)))
