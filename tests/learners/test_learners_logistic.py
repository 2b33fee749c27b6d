from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse
from scipy.special import expit
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from rlkit.core.types import Array
from rlkit.learners.estimators import logistic
from rlkit.learners.estimators.logistic import LogisticRegression
from rlkit.learners.estimators.logistic_loss import logistic_loss, objective, sigmoid, softmax

AMOUNTS = np.array([50, 10, 20, 5, 95, 70, 100, 200, 0.0])[:, None]
DISCOUNT = np.array([0, 1, 1, 1, 0, 0, 0, 0, 1])


def descent(**options: Any) -> LogisticRegression:
    settings = {"solver": "gradient_descent", "learning_rate": 0.01, "max_iter": 100_000, "tol": 0.0, "alpha": 0.0}
    return LogisticRegression(**settings | options)


class TestDiscounts:
    """Who is offered a discount: nine customers, full batches, 100,000 steps from zero weights."""

    def test_with_an_intercept_all_are_right(self) -> None:
        model = descent().fit(AMOUNTS, DISCOUNT)
        assert model.predict(AMOUNTS).tolist() == DISCOUNT.tolist()
        assert [model.intercept_[0], model.coef_[0, 0]] == pytest.approx([8.95338202, -0.26865935], abs=5e-9)
        assert -model.intercept_[0] / model.coef_[0, 0] == pytest.approx(33.33, abs=0.005)
        assert model.cost_history_[0] == pytest.approx(0.6931471805599453, rel=1e-14)
        assert model.cost_history_[1] == pytest.approx(1.148247404005644, rel=1e-12)
        assert model.cost_history_[90_000] == pytest.approx(0.0050529, abs=5e-8)
        assert model.cost_history_[-1] == pytest.approx(0.0045930, abs=5e-8)
        assert model.predict([[10], [250]]).tolist() == [1, 0]

    def test_without_an_intercept_it_must_fail(self) -> None:
        model = descent(fit_intercept=False, max_iter=5000).fit(AMOUNTS, DISCOUNT)
        assert model.coef_[0, 0] == pytest.approx(-0.03328491, abs=5e-9)
        assert model.cost_history_[-1] == pytest.approx(0.4189928381863, abs=5e-13)
        assert not model.predict(AMOUNTS).any()

    def test_one_small_step(self) -> None:
        model = descent(fit_intercept=False, learning_rate=0.001, max_iter=1).fit(AMOUNTS, DISCOUNT)
        assert model.cost_history_[1] == pytest.approx(0.42351356323845546, rel=1e-12)


@pytest.mark.parametrize(
    ("w", "loss"),
    [
        (-0.1, 0.006715348489118068),
        (0.0, 0.6931471805599453),
        (0.1, 5.006715348489118),
        (0.5, 25.000000000013888),
        (0.8, 40.0),
        (0.9, 45.0),
    ],
)
def test_loss_of_a_row_that_is_not_of_the_class(w: float, loss: float) -> None:
    assert logistic_loss(50 * w, 0) == pytest.approx(loss, rel=1e-14)
    assert logistic_loss(-50 * w, 1) == pytest.approx(loss, rel=1e-14)


def test_sigmoid_and_softmax_are_stable() -> None:
    z = np.array([-1000.0, -1, 0, 1, 1000])
    np.testing.assert_allclose(sigmoid(z), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1], rtol=1e-15)
    assert logistic_loss([-1000.0, 1000.0], [1, 1]).tolist() == [1000.0, 0.0]
    expected = [0.00214401, 0.0158422, 0.11705891, 0.86495488]
    np.testing.assert_allclose(softmax(np.array([2.0, 4, 6, 8])), expected, atol=5e-9)
    np.testing.assert_allclose(softmax(np.array([2.0, 4, 6, 8]) + 1000), expected, atol=5e-9)


def numerical(function: Any, w: Array) -> Array:
    """Return central differences of a function of weights, one direction after the other: [*w.shape, ...]."""
    found = []
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 1e-5
        found.append((np.asarray(function(w + step)) - np.asarray(function(w - step))) / 2e-5)
    return np.array(found)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_slopes_and_curvatures_are_numerically_right(classes: int, kind: Any, fit_intercept: bool) -> None:
    rng = np.random.default_rng(0)
    goal = objective(
        kind(rng.normal(size=(20, 3))), rng.integers(0, classes, 20), classes, rng.uniform(0, 2, 20), 0.6, fit_intercept
    )
    w = rng.normal(size=(3 + fit_intercept, goal.targets.shape[1]))
    _, slope, p = goal.evaluate(w)
    np.testing.assert_allclose(numerical(lambda v: goal(v)[0], w).reshape(w.shape), slope, atol=1e-9)
    curvature = numerical(lambda v: goal(v)[1].T.ravel(), w)  # rows in the order of w, columns class by class
    direction = rng.normal(size=w.shape)
    expected = (curvature.T @ direction.ravel()).reshape(w.T.shape).T
    np.testing.assert_allclose(goal.curvature_along(p, direction), expected, atol=1e-8)
    if classes == 2:
        np.testing.assert_allclose(goal.curvature(p), curvature, atol=1e-8)
    else:
        # Along what is no equal change of all classes.
        direction -= direction.mean(axis=1, keepdims=True)
        along = goal.curvature(p) @ direction.T.ravel()
        np.testing.assert_allclose(along.reshape(w.T.shape).T, goal.curvature_along(p, direction), atol=1e-12)


def loss(model: Any, X: Array, y: Array, alpha: float) -> float:
    """Return the objective, written down once more."""
    p = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-np.log(p).mean() + alpha / 2 / len(y) * (model.coef_**2).sum())


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine, load_digits])
@pytest.mark.parametrize("alpha", [1.0, 0.01])
def test_newton_has_the_least_loss(load: Any, alpha: float) -> None:
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours = LogisticRegression(alpha=alpha).fit(X, y)
    twin = sklearn.linear_model.LogisticRegression(C=1 / alpha, tol=1e-8, max_iter=10_000).fit(X, y)
    assert loss(ours, X, y, alpha) == pytest.approx(loss(twin, X, y, alpha), abs=1e-6)
    assert ours.cost_history_[-1] == pytest.approx(loss(ours, X, y, alpha), rel=1e-9)
    np.testing.assert_array_equal(ours.predict(X), twin.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), twin.predict_proba(X), atol=1e-4)
    assert np.all(np.diff(ours.cost_history_) < 0)


def test_products_with_directions_lead_where_all_second_derivatives_do(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    direct = LogisticRegression().fit(X, y)
    monkeypatch.setattr(logistic, "DIRECT", 0)
    np.testing.assert_allclose(LogisticRegression().fit(X, y).coef_, direct.coef_, atol=1e-7)


def test_many_rows_begin_with_a_share_of_them() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(logistic.MANY, 3))
    y = (rng.random(len(X)) < expit(X @ [1, -2, 0.5])).astype(int)
    ours, twin = LogisticRegression().fit(X, y), sklearn.linear_model.LogisticRegression(tol=1e-8).fit(X, y)
    assert ours.cost_history_[0] < 0.9 * np.log(2)
    np.testing.assert_allclose(ours.coef_, twin.coef_, atol=1e-6)


def test_without_a_penalty_separable_classes_end_all_the_same() -> None:
    model = LogisticRegression(alpha=0.0).fit(AMOUNTS, DISCOUNT)
    assert model.predict(AMOUNTS).tolist() == DISCOUNT.tolist()
    assert model.cost_history_[-1] < 1e-6


@pytest.mark.parametrize("solver", ["gradient_descent", "mini_batch"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_descents_approach_the_least_loss(solver: Any, load: Any) -> None:
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    least = LogisticRegression().fit(X, y).cost_history_[-1]
    model = LogisticRegression(solver=solver, max_iter=150, random_state=0).fit(X, y)
    assert least < model.cost_history_[-1] < least + 0.03
    assert len(model.cost_history_) == 151


def test_mini_batches_visit_every_row_once_an_epoch() -> None:
    """One epoch of batches of one row with a tiny rate is a step of n times the rate over all rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    options: dict[str, Any] = {"max_iter": 1, "alpha": 0.0, "tol": 0.0}
    small = LogisticRegression(solver="mini_batch", batch_size=1, learning_rate=1e-9, **options).fit(X, y)
    whole = LogisticRegression(solver="gradient_descent", learning_rate=50e-9, **options).fit(X, y)
    np.testing.assert_allclose(small.coef_, whole.coef_, rtol=1e-6)
    last = LogisticRegression(solver="mini_batch", batch_size=50, learning_rate=50e-9, **options).fit(X, y)
    np.testing.assert_allclose(last.coef_, whole.coef_, rtol=1e-12)


def test_a_tie_is_of_the_first_class() -> None:
    model = LogisticRegression(fit_intercept=False).fit([[1.0], [-1.0]], ["b", "a"])
    assert model.predict_proba([[0.0]]).tolist() == [[0.5, 0.5]]
    assert model.predict([[0.0]]).tolist() == ["a"]
    assert model.predict_log_proba([[-1e9]]).tolist() == [[0.0, -np.inf]]


def test_class_weights_are_weights_of_rows() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weighted = LogisticRegression(class_weight={0: 2, 1: 1}).fit(X, y)
    repeated = LogisticRegression().fit(np.vstack([X, X[y == 0]]), np.concatenate([y, y[y == 0]]))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)


def test_what_cannot_be_learnt_is_told() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.raises(ValueError, match="y holds 1 class"):
        LogisticRegression().fit(X, np.zeros(len(y), int))
    with pytest.warns(ConvergenceWarning, match="max_iter=1 steps"):
        LogisticRegression(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="learning_rate=1e"), np.errstate(all="ignore"):
        LogisticRegression(solver="mini_batch", learning_rate=1e300, random_state=0).fit(X, y)
