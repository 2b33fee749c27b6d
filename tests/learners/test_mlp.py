from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from estimator_contract import conforms
from real_data import mnist
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import StandardScaler, scale

from rlkit.learners.estimators.backprop import forward
from rlkit.learners.estimators.mlp import MLPClassifier, MLPRegressor
from rlkit.learners.estimators.settings import SettingError

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = np.array([0.0, 1, 1, 0])


def uniform(low: float, high: float) -> Any:
    return lambda shape, rng: rng.uniform(low, high, shape)


class TestContract:
    def test_scikit_learn_s_checks_of_a_quick_classifier(self) -> None:
        conforms(MLPClassifier((20,), n_epochs=60, learning_rate=0.01), TheirClassifier())

    def test_scikit_learn_s_checks_of_a_quick_regressor(self) -> None:
        conforms(MLPRegressor((20,), n_epochs=60, learning_rate=0.01), TheirRegressor())

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("estimator", "twin"),
        [
            (MLPClassifier(), TheirClassifier()),
            (MLPRegressor(), TheirRegressor()),
            (MLPClassifier(output="sigmoid"), TheirClassifier()),
        ],
        ids=str,
    )
    def test_scikit_learn_s_checks_as_they_come(self, estimator: Any, twin: Any) -> None:
        conforms(estimator, twin)


class TestOneStep:
    """Against hand-written gradient descent on the network with the fitted start."""

    X, Y = scale(load_iris().data), load_iris().target

    def start(self, **options: Any) -> tuple[Any, Any]:
        options = {"solver": "sgd", "learning_rate": 1e-12, "n_epochs": 1, "batch_size": 150, **options}
        still = MLPClassifier((6,), random_state=0, **options).fit(self.X, self.Y)
        return still, still.parameters_

    def moved(self, **options: Any) -> Any:
        """Return the change of the parameters over the learning rate."""
        _, before = self.start(**options)
        fitted, _ = self.start(**{"learning_rate": 0.5, **options})
        return (fitted.parameters_ - before) / 0.5, fitted, before

    def test_mean_and_sum_differ_by_the_rows_of_the_batch(self) -> None:
        mean, _, _ = self.moved(reduction="mean")
        total, _, _ = self.moved(reduction="sum")
        np.testing.assert_allclose(total, 150 * mean, rtol=1e-7, atol=1e-9)

    def test_l2_shrinks_by_its_share_of_the_rows_and_l1_by_a_constant(self) -> None:
        plain, fitted, before = self.moved()
        marks = fitted._network().marks
        np.testing.assert_allclose(self.moved(l2=3.0)[0] - plain, -3.0 / 150 * before * marks, atol=1e-9)
        np.testing.assert_allclose(self.moved(l1=3.0)[0] - plain, -3.0 / 150 * np.sign(before) * marks, atol=1e-9)

    def test_the_recorded_cost_is_what_is_minimised(self) -> None:
        fitted, _ = self.start(l1=0.3, l2=0.7, learning_rate=0.5)
        weights = np.concatenate([w.ravel() for w in fitted.coefs_])
        chosen = fitted.predict_proba(self.X)[np.arange(150), self.Y]
        expected = -np.log(chosen).mean() + 0.3 / 150 * np.abs(weights).sum() + 0.7 / 300 * (weights**2).sum()
        assert fitted.train_cost_ == [pytest.approx(expected, rel=1e-9)]


class TestTraining:
    def test_it_learns_what_scikit_learn_s_learns(self) -> None:
        x, y = load_digits(return_X_y=True)
        a, b, ya, yb = train_test_split(x / 16, y, random_state=0, stratify=y)
        options = {"random_state": 0, "batch_size": 64}
        ours = MLPClassifier((50,), n_epochs=15, learning_rate=0.005, **options).fit(a, ya)
        theirs = TheirClassifier((50,), max_iter=15, learning_rate_init=0.005, alpha=0.0, **options)
        with pytest.warns(ConvergenceWarning):
            theirs.fit(a, ya)
        assert ours.score(b, yb) >= max(0.95, theirs.score(b, yb) - 0.015)
        # Their loss is the mean over the epoch's batches, ours that after it.
        assert ours.train_cost_[-1] == pytest.approx(theirs.loss_curve_[-1], rel=0.25)

    @pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
    @pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu"])
    def test_every_solver_and_activation_lowers_the_cost(self, solver: str, activation: str) -> None:
        x, y = load_iris(return_X_y=True)
        rate = {"sgd": 0.3, "momentum": 0.05, "adam": 0.02}[solver]
        options: dict[str, Any] = {"n_epochs": 40, "batch_size": 20, "random_state": 0}
        fitted = MLPClassifier((8,), activation=activation, solver=solver, learning_rate=rate, **options)
        fitted.fit(scale(x), y)
        assert fitted.train_cost_[-1] < 0.4 * fitted.train_cost_[0]
        assert fitted.score(scale(x), y) >= 0.94

    def test_activations_can_differ_from_layer_to_layer(self) -> None:
        x, y = load_iris(return_X_y=True)
        fitted = MLPClassifier((5, 4), activation=["relu", "sigmoid"], n_epochs=2, random_state=0).fit(x, y)
        activations, _ = forward(fitted._network(), fitted.parameters_, x)
        assert activations[0].min() == 0.0
        assert activations[1].max() < 1.0
        assert [w.shape for w in fitted.coefs_] == [(4, 5), (5, 4), (4, 3)]
        assert [b.shape for b in fitted.intercepts_] == [(5,), (4,), (3,)]

    def test_equal_seeds_are_equal_networks_whatever_the_global_generator(self) -> None:
        x, y = load_iris(return_X_y=True)
        model = MLPClassifier((5,), n_epochs=3, dropout=0.2, batch_size=7, random_state=1)
        first = model.fit(x, y).parameters_
        np.testing.assert_array_equal(first, clone(model).fit(x, y).parameters_)
        assert not np.array_equal(first, clone(model).set_params(random_state=2).fit(x, y).parameters_)

    def test_sparse_rows_are_dense_rows(self) -> None:
        x, y = load_digits(return_X_y=True)
        model = MLPClassifier((5,), n_epochs=2, random_state=0)
        dense = model.fit(x, y).predict_proba(x)
        np.testing.assert_allclose(model.fit(sparse.coo_array(x), y).predict_proba(sparse.csc_array(x)), dense)

    def test_an_epoch_after_the_other_is_a_fit(self) -> None:
        x, y = load_iris(return_X_y=True)
        model = MLPClassifier((5,), n_epochs=4, dropout=0.1, batch_size=11, random_state=0)
        parts = clone(model)
        for _ in range(4):
            parts.partial_fit(x, y, classes=[0, 1, 2])
        np.testing.assert_array_equal(model.fit(x, y).parameters_, parts.parameters_)
        assert parts.n_iter_ == 4

    def test_classes_announced_come_later_and_others_are_refused(self) -> None:
        x, y = load_iris(return_X_y=True)
        model = MLPClassifier((5,), random_state=0).partial_fit(x[:50], y[:50], classes=[0, 1, 2])
        assert model.partial_fit(x, y).predict_proba(x).shape == (150, 3)
        with pytest.raises(SettingError, match=r"y holds 3, which is none of the classes \[0, 1, 2\]"):
            model.partial_fit(x, y + 1)

    def test_early_stopping_keeps_the_best_of_the_rows_held_out(self) -> None:
        x, y = load_breast_cancer(return_X_y=True)
        x = scale(x)
        options: dict[str, Any] = {"learning_rate": 0.03, "random_state": 0, "n_iter_no_change": 5, "n_epochs": 300}
        model = MLPClassifier((50,), early_stopping=True, **options)
        model.fit(x[:400], y[:400], validation=(x[400:], y[400:]))
        costs = model.validation_cost_
        best = int(np.argmin(costs))
        assert model.n_iter_ == len(costs) == len(model.train_cost_) < 300
        assert best + 5 == len(costs) - 1 or min(costs[best + 1 :]) > costs[best]
        chosen = model.predict_proba(x[400:])[np.arange(169), y[400:]]
        assert -np.log(chosen).mean() == pytest.approx(costs[best], rel=1e-9)
        own = MLPClassifier((50,), early_stopping=True, validation_fraction=0.2, **options).fit(x, y)
        assert len(own.validation_cost_) == own.n_iter_ < 300

    def test_binary_sigmoid_has_one_output(self) -> None:
        x, y = load_breast_cancer(return_X_y=True)
        names = np.array(["bad", "good"])[y]
        model = MLPClassifier((5,), output="sigmoid", n_epochs=30, learning_rate=0.01, random_state=0)
        model.fit(scale(x), names)
        assert model.n_outputs_ == 1
        assert model.score(scale(x), names) > 0.95
        np.testing.assert_allclose(model.predict_proba(scale(x)).sum(1), 1.0)

    def test_several_labels_at_once(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(400, 3))
        y = (x @ rng.normal(size=(3, 4)) > 0).astype(int)
        model = MLPClassifier((20,), n_epochs=100, learning_rate=0.02, random_state=0).fit(x, y)
        assert model.multilabel_
        assert (model.predict(x) == y).mean() > 0.97
        with pytest.raises(SettingError, match="sigmoid where y has several labels"):
            MLPClassifier(output="softmax").fit(x, y)

    def test_regression_of_one_number_and_of_several(self) -> None:
        x, y = load_diabetes(return_X_y=True)
        x, y = scale(x), scale(y)
        options: dict[str, Any] = {"learning_rate": 0.01, "n_epochs": 60, "random_state": 0, "l2": 5.0}
        one = MLPRegressor((10,), **options).fit(x, y)
        assert one.predict(x).shape == (442,)
        assert one.score(x, y) > 0.5
        both = MLPRegressor((10,), **options).fit(x, np.column_stack((y, -y)))
        assert both.predict(x).shape == (442, 2)
        assert both.score(x, np.column_stack((y, -y))) > 0.5
        assert one.partial_fit(x, y).n_iter_ == 61

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be positive"),
            ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
            ({"n_epochs": 0}, "n_epochs is 0"),
            ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and less than 1"),
            ({"momentum": 1.0}, "momentum is 1.0"),
            ({"l2": -1.0}, "l2 is -1.0; it must be at least 0"),
            ({"solver": "lbfgs"}, "solver is 'lbfgs'; it must be one of sgd, momentum, adam"),
            ({"init": "zeros"}, "init is 'zeros'; it must be one of normal, uniform, glorot, he"),
            ({"activation": "step"}, "activation is 'step'"),
            ({"activation": ["relu"]}, r"activation is \['relu'\]; it must be one, or a list of 2"),
            ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes is"),
            ({"reduction": "median"}, "reduction is 'median'; it must be one of mean, sum"),
            ({"output": "tanh"}, "output of a classifier is 'tanh'; it must be one of auto, softmax, sigmoid"),
            ({"output": "softmax", "cost": "quadratic"}, "it must be log_likelihood"),
            ({"solver": "sgd", "learning_rate": 1e300, "activation": "identity"}, "the cost grew without bound"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, options: dict[str, Any], words: str) -> None:
        x, y = load_iris(return_X_y=True)
        with np.errstate(all="ignore"), pytest.raises(SettingError, match=words) as caught:
            MLPClassifier(**{"hidden_layer_sizes": (4, 3), **options}).fit(x, y)
        assert "\n" not in str(caught.value)

    def test_a_regressor_refuses_softmax(self) -> None:
        with pytest.raises(SettingError, match="output of a regressor is 'softmax'"):
            MLPRegressor(output="softmax").fit(XOR, TRUTH)


def tanh_xor(sizes: tuple[int, ...], seed: int) -> bool:
    """Tell whether a tanh network solves XOR: 10,000 steps of one sample."""
    options: dict[str, Any] = {"solver": "sgd", "learning_rate": 0.1, "batch_size": 1, "n_epochs": 2500}
    init = uniform(-1, 1)
    model = MLPRegressor(sizes, activation="tanh", output="tanh", init=init, random_state=seed, **options)
    return bool((np.abs(model.fit(XOR, TRUTH).predict(XOR) - TRUTH) < 0.5).all())


def donut(rows: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return a ball of radius 1 inside a ring from 1.5 to 2.5."""
    inside = rng.random(rows) < 0.5
    radius = np.where(inside, np.sqrt(rng.random(rows)), np.sqrt(rng.uniform(1.5**2, 2.5**2, rows)))
    angle = rng.uniform(0, 2 * np.pi, rows)
    return np.column_stack((radius * np.cos(angle), radius * np.sin(angle))), inside.astype(int)


def epochs_to_perfection(cost: str, seed: int, limit: int) -> int:
    rng = np.random.default_rng(seed)
    (a, ya), (b, yb) = donut(1400, rng), donut(372, rng)
    options: dict[str, Any] = {"activation": "sigmoid", "output": "sigmoid", "solver": "sgd", "init": "uniform"}
    model = MLPClassifier((4,), cost=cost, learning_rate=0.1, batch_size=10, random_state=seed, **options)
    for epoch in range(limit):
        model.partial_fit(a, ya)
        if model.score(a, ya) == model.score(b, yb) == 1.0:
            return epoch + 1
    return limit + 1


def enlarged_digits() -> tuple[Any, Any]:
    """Return 8x8 digits as 28x28 pictures of 0 to 255."""
    x, y = load_digits(return_X_y=True)
    large = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3))) * 255 / 16
    return np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784), y


class TestFacts:
    def test_hidden_units_solve_xor_and_none_do_not(self) -> None:
        options: dict[str, Any] = {"activation": "tanh", "learning_rate": 0.1, "n_epochs": 200, "random_state": 0}
        assert MLPClassifier((4,), **options).fit(XOR, TRUTH).score(XOR, TRUTH) == 1.0
        assert MLPClassifier((), **options).fit(XOR, TRUTH).score(XOR, TRUTH) <= 0.75

    @pytest.mark.slow
    def test_tanh_networks_solve_xor_mostly(self) -> None:
        solved = {sizes: sum(tanh_xor(sizes, seed) for seed in range(20)) for sizes in [(2,), (4,), (4, 3)]}
        assert solved[(4,)] == solved[(4, 3)] == 20
        assert 12 <= solved[(2,)] < 20

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_a_linear_output_without_biases_solves_xor(self, seed: int) -> None:
        options: dict[str, Any] = {"bias": False, "init": uniform(0, 1), "solver": "sgd", "reduction": "sum"}
        model = MLPRegressor((3,), activation="sigmoid", learning_rate=0.1, n_epochs=50_000, **options)
        model.set_params(random_state=seed).fit(XOR, TRUTH)
        assert ((model.predict(XOR) - TRUTH) ** 2).mean() <= 6e-5

    @pytest.mark.slow
    def test_the_donut_is_learnt_without_an_error_by_both_costs_and_sooner_by_cross_entropy(self) -> None:
        quick = [epochs_to_perfection("cross_entropy", seed, 150) for seed in range(3)]
        slow = [epochs_to_perfection("quadratic", seed, 1001) for seed in range(3)]
        print(quick, slow)
        assert max(quick) <= 150
        assert max(slow) <= 1001
        assert sum(quick) < sum(slow) / 1.5

    @pytest.mark.slow
    def test_standardised_pixels_are_learnt_better_than_raw_ones(self) -> None:
        x, y = enlarged_digits()
        a, b, ya, yb = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
        options: dict[str, Any] = {"bias": False, "init": uniform(-1, 1), "solver": "sgd", "reduction": "sum"}
        options |= {"activation": "sigmoid", "output": "sigmoid", "l2": 0.5, "n_epochs": 300, "random_state": 0}
        model = MLPClassifier((50,), learning_rate=0.001, batch_size=-(-len(a) // 25), **options)
        raw = model.fit(a, ya).score(a, ya), model.score(b, yb)
        scaler = StandardScaler().fit(a)
        scaled = model.fit(scaler.transform(a), ya).score(scaler.transform(a), ya), model.score(scaler.transform(b), yb)
        print(json.dumps({"raw": raw, "scaled": scaled}))
        assert scaled[0] >= 0.98
        assert scaled[1] >= 0.94
        assert scaled[1] - raw[1] >= 0.1

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(3))
    def test_mnist(self, seed: int) -> None:
        """784-100-10, ReLU and softmax, as published; 90.54% there."""
        x, y = mnist()
        a, b, ya, yb = train_test_split(x / 255, y, test_size=5000, random_state=seed, stratify=y)
        options: dict[str, Any] = {"init": "uniform", "solver": "sgd", "reduction": "sum", "batch_size": 200}
        model = MLPClassifier((100,), learning_rate=0.001, n_epochs=61, random_state=seed, **options).fit(a, ya)
        print(model.score(a, ya), model.score(b, yb))
        assert model.score(a, ya) >= 0.995
        assert model.score(b, yb) >= 0.905
