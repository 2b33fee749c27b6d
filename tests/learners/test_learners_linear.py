from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from real_data import house_prices
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rlkit.core.types import Array
from rlkit.learners.estimators.linear import LinearRegression


def standardized(features: Array) -> Array:
    return (features - features.mean(axis=0)) / features.std(axis=0, ddof=1)


def descent(**options: Any) -> LinearRegression:
    return LinearRegression(
        **{"solver": "gradient_descent", "learning_rate": 0.01, "max_iter": 2000, "tol": 0.0} | options
    )


class TestHousePrices:
    """The figures of gradient descent on 1,460 houses."""

    def test_one_feature(self) -> None:
        X, y = house_prices("GrLivArea")
        model = descent().fit(standardized(X), y)
        assert model.cost_history_[-1] == pytest.approx(1569921604.8332634, rel=1e-12)
        assert [model.intercept_, *model.coef_] == pytest.approx([180921.19555322, 56294.90199925], rel=1e-12)
        assert model.score(standardized(X), y) == pytest.approx(0.502149, abs=5e-7)

    def test_three_features(self) -> None:
        X, y = house_prices("OverallQual", "GrLivArea", "GarageCars")
        X = standardized(X)
        model = descent().fit(X, y)
        assert model.cost_history_[0] == pytest.approx(19519633853.88288, rel=1e-12)
        assert model.cost_history_[-2:] == pytest.approx([822817042.8437098, 822817042.7360756], rel=1e-12)
        weights = [180921.19555322, 37478.60425400, 26631.93830568, 15921.22581327]
        assert [model.intercept_, *model.coef_] == pytest.approx(weights, rel=1e-12)
        residual = model.predict(X) - y
        assert np.sqrt(np.mean(residual**2)) == pytest.approx(40566.42, abs=0.005)
        assert model.score(X, y) == pytest.approx(0.739069, abs=5e-7)
        exact = LinearRegression().fit(X, y)
        assert np.mean((exact.predict(X) - y) ** 2) / 2 == pytest.approx(822817027.7658795, rel=1e-12)

    def test_held_out(self) -> None:
        X, y = house_prices("OverallQual", "GrLivArea", "GarageCars")
        scores = cross_val_score(
            make_pipeline(StandardScaler(), LinearRegression()), X, y, cv=KFold(5, shuffle=True, random_state=0)
        )
        assert scores.mean() == pytest.approx(0.7355, abs=5e-5)


def test_one_standardized_feature_follows_the_closed_form_without_any_file() -> None:
    n, mean, deviation, r = 1460, 180921.19589, 79442.502883, 0.7086244776
    rng = np.random.default_rng(0)
    x, noise = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 2))]))[0][:, 1:].T * np.sqrt(n - 1)
    y = mean + deviation * (r * x + np.sqrt(1 - r * r) * noise)
    model = descent().fit(x[:, None], y)
    assert [model.intercept_, *model.coef_] == pytest.approx([180921.195553, 56294.901999], abs=1e-6)
    assert model.cost_history_[-1] == pytest.approx(1569921604.8, abs=0.1)
    k = np.array([0, 1, 2, 100])
    intercepts = mean * (1 - 0.99**k)
    slopes = r * deviation * (1 - (1 - 0.01 * (n - 1) / n) ** k)
    for steps, intercept, slope in zip(k[1:].tolist(), intercepts[1:], slopes[1:], strict=True):
        model = descent(max_iter=steps).fit(x[:, None], y)
        assert [model.intercept_, *model.coef_] == pytest.approx([intercept, slope], rel=1e-9)


@pytest.mark.parametrize(("y", "cost"), [(0.0, 0.0), (-1.0, 0.5), (-2.0, 2.0), (1.0, 0.5), (2.0, 2.0)])
def test_the_cost_is_half_the_mean_square(y: float, cost: float) -> None:
    """Zero weights predict 0, so the target is minus the error."""
    assert descent(max_iter=1).fit([[1.0], [1.0]], [y, y]).cost_history_[0] == cost


def test_gradients_are_numerically_right() -> None:
    """One step of rate 1 from zero weights is minus the gradient there."""
    rng = np.random.default_rng(1)
    X, y, weights = rng.normal(size=(12, 3)), rng.normal(size=(12, 2)), rng.uniform(0, 2, 12)

    def cost(w: Array) -> float:
        squares = (weights[:, None] * (X @ w[1:] + w[0] - y) ** 2).sum() + 0.7 * (w[1:] ** 2).sum()
        return float(squares / 2 / weights.sum())

    model = descent(max_iter=1, learning_rate=1.0, alpha=0.7).fit(X, y, sample_weight=weights)
    stepped = np.vstack([model.intercept_, model.coef_.T])
    for place in np.ndindex(stepped.shape):
        step = np.zeros_like(stepped)
        step[place] = 1e-6
        assert -stepped[place] == pytest.approx((cost(step) - cost(-step)) / 2e-6, rel=1e-7)
    assert model.cost_history_ == pytest.approx([cost(0 * stepped), cost(stepped)], rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_both_solvers_equal_scikit_learns(alpha: float, fit_intercept: bool, kind: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :6] + 1.0
    y = np.stack([y, X[:, 0] - y], axis=1)
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    twin: Any = sklearn.linear_model.Ridge(alpha=alpha, fit_intercept=fit_intercept)
    if alpha == 0:
        twin = sklearn.linear_model.LinearRegression(fit_intercept=fit_intercept)
    twin.fit(X, y, weights)
    options: dict[str, Any] = {"alpha": alpha, "fit_intercept": fit_intercept}
    for options_of_solver in ({}, {"solver": "gradient_descent", "max_iter": 100_000, "tol": 1e-9}):
        ours = LinearRegression(**options, **options_of_solver).fit(kind(X), y, weights)
        np.testing.assert_allclose(ours.coef_, twin.coef_, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(ours.predict(X), twin.predict(X), rtol=1e-6)


def test_the_shortest_solution_is_taken_where_there_are_many() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(5, 9)), rng.normal(size=5)
    found = LinearRegression(fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(found, np.linalg.pinv(X) @ y, rtol=1e-10)


def test_automatic_rates_never_overshoot_and_tol_ends_descent() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression(solver="gradient_descent", max_iter=3000, tol=1.0).fit(100 * X[:, :3], y)
    assert np.all(np.diff(model.cost_history_) <= 0)
    assert model.n_iter_ == len(model.cost_history_) - 1 < 3000


def test_divergence_is_told_with_its_remedy() -> None:
    X, y = load_diabetes(return_X_y=True)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(ValueError, match=r"learning_rate=1 is too large for these features: lower it, standardize"),
    ):
        descent(learning_rate=1.0).fit(1000 * X, y)
