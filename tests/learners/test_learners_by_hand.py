"""Steps of learners beside values that were worked out by hand, and compiled loops beside plain ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_iris, make_blobs

from rlkit.learners.estimators import kmeans
from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.backprop import Network, forward, gradient, penalty, uniform
from rlkit.learners.estimators.costs import last_layer
from rlkit.learners.estimators.epochs import EarlyStopping
from rlkit.learners.estimators.factor_kernels import predictions, unrated
from rlkit.learners.estimators.kmeans import KMeans, WeightedRows, mini_batches
from rlkit.learners.estimators.kmeans_kernel import absorb
from rlkit.learners.estimators.linear import LinearRegression
from rlkit.learners.estimators.logistic_loss import objective
from rlkit.learners.estimators.mlp import MLPRegressor
from rlkit.learners.estimators.optimizers import SGD
from rlkit.learners.estimators.rating_pairs import CenteredRatings, Factors, solved
from rlkit.learners.estimators.tree_walk import find_leaves, preorder

TANH = float(np.tanh(0.5))


class TestKMeans:
    def test_the_start_with_the_least_inertia_is_kept(self) -> None:
        X, _ = make_blobs(300, centers=12, cluster_std=0.3, random_state=0)
        rng = np.random.RandomState(0)
        options: dict[str, Any] = {"init": "random", "max_iter": 5}
        starts = [KMeans(12, n_init=1, random_state=rng, **options).fit(X) for _ in range(6)]
        inertias = [start.inertia_ for start in starts]
        best = KMeans(12, n_init=6, random_state=np.random.RandomState(0), **options).fit(X)
        assert max(inertias) > 1.5 * min(inertias)
        assert inertias.index(min(inertias)) not in (0, 5)
        assert best.inertia_ == min(inertias)
        np.testing.assert_array_equal(best.labels_, starts[inertias.index(min(inertias))].labels_)

    def test_a_mini_batch_moves_a_centre_to_the_mean_of_all_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Batches of means 0 and 2 from a centre at 5: 0, then 1."""
        X = np.array([[-1.0], [1.0], [1.0], [3.0]])
        rows, found = WeightedRows(X, np.ones(4), (X**2)[:, 0], np.arange(4)), []
        for steps in (1, 2):
            batches = iter([np.array([0, 1]), np.array([2, 3])])
            monkeypatch.setattr(kmeans, "drawn", lambda *arguments, left=batches: next(left))
            found.append(mini_batches(rows, np.array([[5.0]]), steps, 0.0, 2, None))
        assert [one.centers.tolist() for one in found] == [[[0.0]], [[1.0]]]
        assert [(one.n_iter, one.inertia) for one in found] == [(1, 12.0), (2, 8.0)]

    @pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
    def test_a_tie_goes_to_the_first(self, kind: Any) -> None:
        model = KMeans(2, init=[[-1.0], [1.0]]).fit(kind([[-1.0], [1.0]]))
        assert model.predict(kind([[0.0]])).tolist() == [0]
        assert KMeans(2, init=[[1.0], [-1.0]]).fit(kind([[-1.0], [1.0]])).predict(kind([[0.0]])).tolist() == [0]

    @given(seed=st.integers(0, 10**6), n=st.integers(1, 20), k=st.integers(1, 5))
    @settings(max_examples=40, deadline=None)
    def test_a_pass_is_the_naive_one(self, seed: int, n: int, k: int) -> None:
        """Whole numbers, so that ties are met and sums are exact."""
        rng = np.random.default_rng(seed)
        rows, centers = (rng.integers(-2, 3, (size, 2)).astype(float) for size in (n, k))
        weights, labels = rng.integers(0, 4, n).astype(float), rng.integers(-1, k, n).astype(np.int32)
        sums, mass, before = rng.integers(0, 3, (k, 2)).astype(float), np.ones(k), labels.copy()
        expected = ((rows[:, None] - centers) ** 2).sum(2).argmin(1)
        wanted_sums, wanted_mass = sums.copy(), mass.copy()
        for row, weight, label in zip(rows, weights, expected, strict=True):
            wanted_sums[label] += weight * row
            wanted_mass[label] += weight
        changed = absorb(rows, weights, rows @ centers.T, (centers**2).sum(1) / 2, labels, sums, mass)
        assert changed == (before != expected).sum()
        for found, wanted in ((labels, expected), (sums, wanted_sums), (mass, wanted_mass)):
            np.testing.assert_array_equal(found, wanted)


def chain(hidden: tuple[str, ...]) -> Network:
    """Return a network of one neuron a layer, with a linear output and the quadratic cost."""
    functions = tuple(ACTIVATIONS[name] for name in hidden)
    return Network((1,) * (len(hidden) + 2), functions, last_layer("identity", "quadratic"))


class TestBackpropagation:
    def test_each_layer_has_the_derivative_of_its_own_activation(self) -> None:
        """x 1, tanh of 0.5, ReLU of 2 tanh + 0.1, 3 times that; the target is 1."""
        vector = np.array([0.5, 0.0, 2.0, 0.1, 3.0, 0.0])
        h1, h2 = TANH, 2 * TANH + 0.1
        error = 3 * h2 - 1
        second, first = error * 3, error * 3 * 2 * (1 - TANH**2)
        wanted = [first, first, second * h1, second, error * h2, error]
        found = gradient(chain(("tanh", "relu")), vector, np.ones((1, 1)), np.ones((1, 1)), np.ones(1))
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        turned = gradient(chain(("relu", "tanh")), vector, np.ones((1, 1)), np.ones((1, 1)), np.ones(1))
        a = np.tanh(1.1)
        below = (3 * a - 1) * 3 * (1 - a**2)
        np.testing.assert_allclose(turned, [below * 2, below * 2, below / 2, below, (3 * a - 1) * a, 3 * a - 1])

    def test_the_estimator_gives_each_layer_its_own(self) -> None:
        options: dict[str, Any] = {"solver": "sgd", "learning_rate": 1.0, "batch_size": 1, "n_epochs": 1}
        start = iter([0.5, 2.0, 3.0])
        model = MLPRegressor((1, 1), activation=["tanh", "relu"], init=lambda shape, rng: next(start), **options)
        model.fit([[1.0]], [1.0])
        error = 6 * TANH - 1
        moved = [0.5 - error * 6 * (1 - TANH**2), 2 - error * 3 * TANH, 3 - error * 2 * TANH]
        np.testing.assert_allclose([layer[0, 0] for layer in model.coefs_], moved)
        np.testing.assert_allclose([b[0] for b in model.intercepts_], [moved[0] - 0.5, -error * 3, -error])

    def test_a_rectified_unit_below_zero_passes_nothing_on(self) -> None:
        vector = np.array([-0.5, 0.0, 2.0, 0.3])
        found = gradient(chain(("relu",)), vector, np.ones((1, 1)), np.ones((1, 1)), np.full(1, 2.0))
        np.testing.assert_allclose(found, [0, 0, 0, 2 * (0.3 - 1)])

    @pytest.mark.parametrize(
        ("output", "cost", "delta"),
        [
            ("sigmoid", "quadratic", [(0.75 - 1) * 0.1875, 0.5 * 0.25]),
            ("sigmoid", "cross_entropy", [-0.25, 0.5]),
            ("softmax", "log_likelihood", [-0.25, 0.25]),
            ("identity", "quadratic", [np.log(3) - 1, 0.0]),
            ("tanh", "quadratic", [(0.8 - 1) * 0.36, 0.0]),
        ],
    )
    def test_errors_of_the_last_layer(self, output: str, cost: str, delta: list[float]) -> None:
        """z ln 3 and 0, whose sigmoids are 3/4 and 1/2, whose softmax is 3/4 and 1/4 and whose tanh are 4/5 and 0."""
        layer, z = last_layer(output, cost), np.array([[np.log(3), 0.0]])
        np.testing.assert_allclose(layer.delta(layer.value(z), np.array([[1.0, 0.0]])), [delta], atol=1e-15)

    def test_penalties(self) -> None:
        value, slope = penalty(np.array([2.0, -3.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 1.0]), 0.5, 0.4)
        assert value == pytest.approx(0.5 * 5 + 0.2 * 13)
        np.testing.assert_allclose(slope, [0.5 + 0.8, -0.5 - 1.2, 0, 0])

    def test_the_published_losses_of_iris_are_found_to_four_decimals(self) -> None:
        """4-5-3 with ReLU from torch's weights at seed 1234: gradient descent at 0.1 with momentum 0.9 on 120 rows."""
        X, y = load_iris(return_X_y=True)
        order = np.random.RandomState(1234).permutation(150)
        train, test, targets = order[:120], order[120:], np.eye(3)[y]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1234)
            layers = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3)
        parts = [part.detach().numpy().ravel() for layer in layers for part in (layer.weight.T, layer.bias)]
        vector = np.concatenate(parts).astype(float)
        network = Network((4, 5, 3), (ACTIVATIONS["relu"],), last_layer("softmax", "log_likelihood"))
        optimizer, losses = SGD(0.1, 0.9), []
        for _ in range(50):
            losses.append(network.output.cost(forward(network, vector, X[train])[1], targets[train]).mean())
            optimizer.step(vector, gradient(network, vector, X[train], targets[train], np.ones(120)) / 120)
        published = [1.2181, 0.6745, 0.2447, 0.1397, 0.1001, 0.0855]
        np.testing.assert_allclose([losses[epoch - 1] for epoch in (1, 10, 20, 30, 40, 50)], published, atol=6e-5)
        assert (forward(network, vector, X[test])[1].argmax(1) == y[test]).all()

    def test_weights_of_a_range(self) -> None:
        found = uniform((40, 50), np.random.default_rng(0), low=-2.0, high=1.0)
        assert found.shape == (40, 50)
        assert -2 <= found.min() < -1.99
        assert 0.99 < found.max() < 1

    def test_stopping_early(self) -> None:
        """Costs fall by more than the tolerance once; the lowest cost's parameters are kept, by however little."""
        stopping = EarlyStopping(2, 0.1)
        assert [stopping.stops(cost, name) for cost, name in ((1.0, "a"), (0.8, "b"), (0.75, "c"), (0.9, "d"))] == [
            *(False, False, False),
            True,
        ]
        assert stopping.best == "c"


class TestLinearModels:
    def test_two_steps_of_least_squares_with_a_ridge(self) -> None:
        options: dict[str, Any] = {"solver": "gradient_descent", "learning_rate": 0.1, "alpha": 0.7, "tol": 0.0}
        one, two = (LinearRegression(max_iter=n, **options).fit([[1.0], [3.0]], [2.0, 6.0]) for n in (1, 2))
        assert one.cost_history_[0] == pytest.approx(10)
        np.testing.assert_allclose([one.intercept_, *one.coef_], [0.4, 1.0])
        np.testing.assert_allclose([two.intercept_, *two.coef_], [0.4 + 0.16, 1.0 + 0.42 - 0.035])
        assert two.cost_history_[1] == pytest.approx((0.36 + 6.76 + 0.7) / 4)

    def test_the_logistic_loss_at_zero_and_beyond(self) -> None:
        goal = objective(np.array([[2.0], [1.0]]), np.array([1, 0]), 2, np.array([3.0, 1.0]), 0.8, True)
        value, slope = goal(np.zeros((2, 1)))
        assert value == pytest.approx(np.log(2))
        np.testing.assert_allclose(slope[:, 0], [-0.5 * 0.75 + 0.5 * 0.25, -0.75 + 0.125])
        w = np.array([[0.0], [np.log(3)]])
        value, slope, p = goal.evaluate(w)
        np.testing.assert_allclose(p[:, 0], [0.9, 0.75])
        assert value == pytest.approx(0.75 * np.log(10 / 9) + 0.25 * np.log(4) + 0.1 * np.log(3) ** 2)
        np.testing.assert_allclose(slope[:, 0], [-0.075 + 0.1875, -0.15 + 0.1875 + 0.2 * np.log(3)], rtol=1e-12)
        a, b = 0.75 * 0.09, 0.25 * 0.1875
        np.testing.assert_allclose(goal.curvature(p), [[a + b, 2 * a + b], [2 * a + b, 4 * a + b + 0.2]])

    def test_the_softmax_loss_at_zero(self) -> None:
        goal = objective(np.array([[2.0], [1.0]]), np.array([2, 0]), 3, np.array([1.0, 1.0]), 0.0, False)
        value, slope = goal(np.zeros((1, 3)))
        assert value == pytest.approx(np.log(3))
        np.testing.assert_allclose(slope, [[0.0, 0.5, -0.5]], atol=1e-15)


class TestFactors:
    def test_predictions_are_the_naive_ones(self) -> None:
        rng = np.random.default_rng(0)
        p, q, bu, bi = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=4), rng.normal(size=5)
        users, items = rng.integers(4, size=9), rng.integers(5, size=9)
        wanted = [bu[u] + bi[i] + p[u] @ q[i] for u, i in zip(users, items, strict=True)]
        np.testing.assert_allclose(predictions(users, items, p, q, bu, bi), wanted, rtol=1e-12)
        np.testing.assert_allclose(Factors(p, q, bu, bi).at(users, items), wanted, rtol=1e-12)

    def test_unrated_items_are_drawn_each_as_likely_and_none_that_is_rated(self) -> None:
        """Three users of four items: two rated, none, all."""
        ends, items = np.array([0, 2, 2, 6]), np.array([1, 3, 0, 1, 2, 3])
        found = unrated(ends, items, 4, 500, np.random.default_rng(0))
        assert len(found) == 3000
        assert set(found[:1000].tolist()) == {0, 2}
        assert (found[:1000] == 0).mean() == pytest.approx(0.5, abs=0.05)
        assert (found[1000:] == -1).all()
        # As plain Python, which notices what is read beyond an array.
        assert np.array_equal(found, unrated.py_func(ends, items, 4, 500, np.random.default_rng(0)))

    def test_pairs_with_unrated_ones_stay_in_the_order_of_users(self) -> None:
        ratings = sparse.csr_array(np.array([[0.0, 5, 0, 3], [1, 2, 3, 4], [0, 0, 0, 0], [7, 0, 0, 0]]))
        found = CenteredRatings.of(ratings, 2.0).with_unrated(2, -2.0, np.random.default_rng(0))
        assert found.users.tolist() == [0] * 6 + [1] * 4 + [3] * 3
        assert found.shape == (4, 4)
        own = found.ratings[found.users == 0]
        assert own.tolist() == [3, 1, -2, -2, -2, -2]
        assert set(found.items[:6][own == -2].tolist()) <= {0, 2}
        assert found.ratings[found.users == 1].tolist() == [-1, 0, 1, 2]
        assert found.ratings[found.users == 3].tolist() == [5, -2, -2]
        assert 0 not in found.items[-2:]

    @pytest.mark.parametrize("biased", [True, False])
    @pytest.mark.parametrize("decay", [0.3, 0.0])
    def test_users_are_the_minimum_over_all_items_that_may_be_drawn(self, biased: bool, decay: float) -> None:
        """Weighted least squares over every item: 1 where there is a rating, else a share of 3 for each rating."""
        rng = np.random.default_rng(0)
        q, b = rng.normal(size=(8, 2)), rng.normal(size=8)
        dense = np.where(rng.random((5, 8)) < 0.4, rng.normal(3, 1, (5, 8)), 0.0)
        dense[2], dense[3] = 0, rng.normal(3, 1, 8)
        found = solved(CenteredRatings.of(sparse.csr_array(dense), 1.5), q, b, decay, biased, 3, -1.5)
        columns = np.column_stack((q, np.ones((8, int(biased)))))
        for row, rated in zip(found, dense, strict=True):
            there, count = rated != 0, (rated != 0).sum()
            if not count:
                assert not row.any()
                continue
            weights = np.where(there, 1.0, 3 * count / max((~there).sum(), 1))
            target = np.where(there, rated, 0.0) - 1.5 - b
            ridge = decay * count * (1 + 3 * (~there).any()) * np.eye(columns.shape[1])
            normal = columns.T @ (weights[:, None] * columns) + ridge
            np.testing.assert_allclose(row, np.linalg.solve(normal, columns.T @ (weights * target)), rtol=1e-8)


class TestTreeWalks:
    LEFT, RIGHT = np.array([1, 3, -1, -1, -1]), np.array([2, 4, -1, -1, -1])

    def test_a_preorder_by_hand(self) -> None:
        order = np.empty(5, np.int64)
        preorder(self.LEFT, self.RIGHT, order, np.empty(5, np.int64))
        assert order.tolist() == [0, 1, 3, 4, 2]

    def test_leaves_by_hand(self) -> None:
        """x at most 1 goes left, then y at most -1; a missing x goes right, a missing y left."""
        X = np.array([[1.0, -1.0], [1.0, 0.0], [1.5, -5.0], [np.nan, -5.0], [0.0, np.nan]])
        found = np.empty(5, np.int64)
        feature, threshold = np.array([0, 1, 0, 0, 0]), np.array([1.0, -1.0, 0, 0, 0])
        find_leaves(X, self.LEFT, self.RIGHT, feature, threshold, np.array([0, 1, 0, 0, 0], np.int8), found)
        assert found.tolist() == [3, 4, 2, 2, 3]
