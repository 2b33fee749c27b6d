from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from rlkit.learners.estimators.activations import ACTIVATIONS, sigmoid, softmax
from rlkit.learners.estimators.backprop import INITIALIZERS, Network, dropout_masks, forward, gradient, initial, penalty
from rlkit.learners.estimators.costs import PAIRS, last_layer
from rlkit.learners.estimators.optimizers import SGD, Adam
from rlkit.learners.estimators.settings import SettingError


def numerical(function: Any, vector: Any) -> Any:
    """Return the gradient by central differences."""
    found = np.empty_like(vector)
    for i in range(len(vector)):
        step = np.zeros_like(vector)
        step[i] = 1e-5
        found[i] = (function(vector + step) - function(vector - step)) / 2e-5
    return found


def relative_error(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


LAST = [(activation, cost) for activation, costs in PAIRS.items() for cost in costs]


def problem(hidden: str, last: tuple[str, str], bias: bool = True) -> tuple[Network, Any, Any, Any, Any]:
    rng = np.random.default_rng(3)
    network = Network((3, 5, 4, 2), (ACTIVATIONS[hidden],) * 2, last_layer(*last), bias)
    vector = rng.normal(size=network.size)
    y = np.eye(2)[rng.integers(2, size=7)] if last[0] == "softmax" else rng.random((7, 2))
    return network, vector, rng.normal(size=(7, 3)), y, rng.random(7)


class TestGradients:
    @pytest.mark.parametrize(("hidden", "last"), list(product(ACTIVATIONS, LAST)))
    def test_every_activation_and_cost_is_the_slope_of_the_costs_in_every_layer(self, hidden: str, last: Any) -> None:
        network, vector, x, y, weights = problem(hidden, last)

        def cost(v: Any) -> float:
            return float(weights @ network.output.cost(forward(network, v, x)[1], y))

        found, expected = gradient(network, vector, x, y, weights), numerical(cost, vector)
        for ours, truth in zip(network.layers(found), network.layers(expected), strict=True):
            assert relative_error(ours.weights, truth.weights) < 1e-6
            assert relative_error(ours.biases, truth.biases) < 1e-6

    @pytest.mark.parametrize("hidden", ACTIVATIONS)
    def test_with_dropout_it_is_the_slope_under_the_same_masks(self, hidden: str) -> None:
        network, vector, x, y, weights = problem(hidden, ("sigmoid", "cross_entropy"))
        masks = dropout_masks(network, len(x), 0.4, np.random.default_rng(0))

        def cost(v: Any) -> float:
            return float(weights @ network.output.cost(forward(network, v, x, masks)[1], y))

        assert relative_error(gradient(network, vector, x, y, weights, masks), numerical(cost, vector)) < 1e-6

    def test_sparse_rows_and_layers_without_biases(self) -> None:
        network, vector, x, y, weights = problem("tanh", ("softmax", "log_likelihood"), bias=False)
        x = np.where(x > 0, x, 0.0)
        assert network.size == 3 * 5 + 5 * 4 + 4 * 2
        assert all(layer.biases is None for layer in network.layers(vector))
        dense = gradient(network, vector, x, y, weights)
        np.testing.assert_allclose(gradient(network, vector, sparse.csr_array(x), y, weights), dense, rtol=1e-12)

        def cost(v: Any) -> float:
            return float(weights @ network.output.cost(forward(network, v, x)[1], y))

        assert relative_error(dense, numerical(cost, vector)) < 1e-6

    @pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
    def test_every_penalty_is_of_the_weights_alone(self, l1: float, l2: float) -> None:
        network, vector, *_ = problem("relu", LAST[0])
        marks = network.marks
        value, found = penalty(vector, marks, l1, l2)
        weights = np.concatenate([layer.weights.ravel() for layer in network.layers(vector)])
        assert value == pytest.approx(l1 * np.abs(weights).sum() + l2 / 2 * (weights**2).sum())
        assert relative_error(found, numerical(lambda v: penalty(v, marks, l1, l2)[0], vector)) < 1e-6
        assert all(not layer.biases.any() for layer in network.layers(found) if layer.biases is not None)

    def test_weights_of_rows_are_repetitions(self) -> None:
        network, vector, x, y, _ = problem("elu", LAST[0])
        times = np.array([0, 1, 2, 3, 1, 0, 2])
        repeated = gradient(network, vector, x.repeat(times, 0), y.repeat(times, 0), np.ones(times.sum()))
        np.testing.assert_allclose(gradient(network, vector, x, y, times.astype(float)), repeated, rtol=1e-12)

    def test_it_is_torch_s(self) -> None:
        network, vector, x, y, weights = problem("sigmoid", ("softmax", "log_likelihood"))
        parameters = torch.tensor(vector, requires_grad=True)
        layers, start, below = [], 0, torch.tensor(x)
        for rows, columns in ((3, 5), (5, 4), (4, 2)):
            stop = start + rows * columns
            layers.append((parameters[start:stop].view(rows, columns), parameters[stop : stop + columns]))
            start = stop + columns
        for weight, bias in layers[:-1]:
            below = torch.sigmoid(below @ weight + bias)
        logs = torch.log_softmax(below @ layers[-1][0] + layers[-1][1], 1)
        (-(torch.tensor(y) * logs).sum(1) @ torch.tensor(weights)).backward()
        np.testing.assert_allclose(gradient(network, vector, x, y, weights), parameters.grad.numpy(), rtol=1e-10)


class TestActivations:
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_they_are_torch_s_and_finite_far_out(self, name: str) -> None:
        z = np.array([-1000.0, -30.0, -1.5, -0.1, 0.0, 0.1, 1.5, 30.0, 1000.0])
        theirs = {"identity": lambda t: t, "relu": torch.relu, "elu": torch.nn.functional.elu}
        theirs |= {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "leaky_relu": torch.nn.functional.leaky_relu}
        value, derivative = ACTIVATIONS[name]
        tensor = torch.tensor(z, requires_grad=True)
        expected = theirs[name](tensor)
        np.testing.assert_allclose(value(z), expected.detach(), rtol=1e-12, atol=1e-300)
        expected.sum().backward()
        away = z != 0
        np.testing.assert_allclose(derivative(value(z))[away], tensor.grad.numpy()[away], rtol=1e-9, atol=1e-15)

    def test_softmax_of_the_facts(self) -> None:
        shares = softmax(np.array([[2.0, 4, 6, 8], [1002, 1004, 1006, 1008]]))
        np.testing.assert_allclose(shares[0], [0.00214401, 0.0158422, 0.11705891, 0.86495488], atol=5e-9)
        np.testing.assert_array_equal(shares[0], shares[1])

    def test_two_steep_units_make_a_box(self) -> None:
        """Universal approximation: a box from -5 to 5 of height 7; no overflow warns."""
        network = Network((1, 2, 1), (ACTIVATIONS["sigmoid"],), last_layer("identity", "quadratic"))
        vector = np.array([1000.0, 1000, 5000, -5000, 7, -7, 0])
        x = np.linspace(-10, 10, 2001)
        box = forward(network, vector, x[:, None])[1][:, 0]
        assert (box.min(), box.max()) == (0, 7)
        np.testing.assert_array_equal(x[box > 3.5001], x[(x > -5) & (x < 5)])
        assert sigmoid(np.array([0.0]))[0] == 0.5


class TestCosts:
    def test_by_hand(self) -> None:
        z, y = np.array([[0.0, np.log(3)]]), np.array([[1.0, 0.0]])
        assert last_layer("identity", "quadratic").cost(z, y)[0] == pytest.approx((1 + np.log(3) ** 2) / 2)
        assert last_layer("sigmoid", "quadratic").cost(z, y)[0] == pytest.approx((0.25 + 0.5625) / 2)
        assert last_layer("sigmoid", "cross_entropy").cost(z, y)[0] == pytest.approx(np.log(2) + np.log(4))
        assert last_layer("softmax", "log_likelihood").cost(z, y)[0] == pytest.approx(np.log(4))

    @pytest.mark.parametrize(("activation", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
    def test_being_sure_and_wrong_costs_the_distance_not_infinity(self, activation: str, cost: str) -> None:
        assert last_layer(activation, cost).cost(np.array([[1000.0, 0.0]]), np.array([[0.0, 1.0]]))[0] >= 1000

    @pytest.mark.parametrize(
        ("activation", "cost", "words"),
        [
            ("softmax", "quadratic", "the cost of softmax outputs is 'quadratic'; it must be log_likelihood"),
            ("softmax", "cross_entropy", "it must be log_likelihood"),
            ("sigmoid", "log_likelihood", "it must be cross_entropy or quadratic"),
            ("identity", "cross_entropy", "it must be quadratic"),
            ("relu", "quadratic", "output is 'relu'; it must be one of sigmoid, softmax, tanh, identity"),
        ],
    )
    def test_pairs_that_do_not_go_together_are_refused(self, activation: str, cost: str, words: str) -> None:
        with pytest.raises(SettingError, match=words):
            last_layer(activation, cost)


class TestInitialisers:
    @pytest.mark.parametrize(
        ("name", "deviation"),
        [
            ("normal", 1 / np.sqrt(300)),
            ("uniform", 1 / np.sqrt(300) / np.sqrt(3)),
            ("glorot", np.sqrt(6 / 500) / np.sqrt(3)),
            ("he", np.sqrt(2 / 300)),
        ],
    )
    def test_they_have_the_deviation_of_their_formula_and_biases_are_0(self, name: str, deviation: float) -> None:
        network = Network((300, 200), (), last_layer("identity", "quadratic"))
        [layer] = network.layers(initial(network, INITIALIZERS[name], np.random.default_rng(0)))
        assert layer.weights.std() == pytest.approx(deviation, rel=0.02)
        assert abs(layer.weights.mean()) < 0.02 * deviation
        assert layer.biases is not None
        assert not layer.biases.any()
        if name in ("uniform", "glorot"):
            assert np.abs(layer.weights).max() <= deviation * np.sqrt(3)

    def test_parameters_are_counted_as_published(self) -> None:
        last = last_layer("softmax", "log_likelihood")
        assert Network((784, 100, 10), (ACTIVATIONS["sigmoid"],), last).size == 79_510
        assert Network((4, 5, 3), (ACTIVATIONS["relu"],), last).size == 43
        assert Network((3072, 1024, 512, 512, 10), (ACTIVATIONS["relu"],) * 3, last).size == 3_939_338


class TestDropout:
    def test_masks_leave_out_a_share_and_keep_the_mean_and_differ_from_row_to_row(self) -> None:
        network = Network((2, 400, 300, 1), (ACTIVATIONS["relu"],) * 2, last_layer("identity", "quadratic"))
        first, second = dropout_masks(network, 50, 0.25, np.random.default_rng(0))
        assert (first.shape, second.shape) == ((50, 400), (50, 300))
        assert set(np.unique(first)) == {0.0, 4 / 3}
        assert first.mean() == pytest.approx(1.0, abs=0.01)
        assert not np.array_equal(first[0], first[1])
        assert dropout_masks(network, 50, 0.0, np.random.default_rng(0)) == []


class TestOptimizers:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
            (lambda: SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
            (lambda: Adam(0.1), lambda p: torch.optim.Adam(p, lr=0.1)),
            (lambda: Adam(0.1, 0.5, 0.9), lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9))),
        ],
    )
    def test_they_step_as_torch_s_do(self, ours: Any, theirs: Any) -> None:
        gradients = np.random.default_rng(0).normal(size=(6, 4))
        vector, tensor = np.ones(4), torch.ones(4, dtype=torch.float64, requires_grad=True)
        own, other = ours(), theirs([tensor])
        for row in gradients:
            own.step(vector, row)
            tensor.grad = torch.tensor(row)
            other.step()
            np.testing.assert_allclose(vector, tensor.detach(), rtol=1e-7)

    def test_momentum_by_hand(self) -> None:
        vector, optimizer = np.zeros(1), SGD(0.5, 0.5)
        optimizer.step(vector, np.ones(1))
        assert vector.tolist() == [-0.5]
        optimizer.step(vector, np.ones(1))
        assert vector.tolist() == [-1.25]
