"""Recurrent networks in NumPy, against torch, slopes, and sums by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.costs import last_layer
from rlkit.learners.estimators.recurrent import RecurrentClassifier, RecurrentRegressor
from rlkit.learners.estimators.recurrent_cells import CellWeights, GRUCell, LSTMCell, SimpleCell
from rlkit.learners.estimators.recurrent_network import RecurrentNetwork, clipped, costs, forward, gradient, uniform
from rlkit.learners.estimators.settings import SettingError

CELLS = {
    "rnn": SimpleCell(ACTIVATIONS["tanh"]),
    "relu": SimpleCell(ACTIVATIONS["relu"]),
    "lstm": LSTMCell(),
    "gru": GRUCell(after=True, inner=True),
    "published gru": GRUCell(after=False, inner=False),
}
ONES = np.array([[0, 0, 0, 0, 1, 0, 1, 0, 1, 0]], float)


def problem(cell: Any, last: tuple[str, str], **options: Any) -> tuple[RecurrentNetwork, Any, Any, Any, Any]:
    """Return a network of two layers, its parameters, inputs [6, 3, 2], targets [4, 3, 2] and weights."""
    rng = np.random.default_rng(5)
    network = RecurrentNetwork((2, 4, 3), 2, cell, last_layer(*last), **options)
    y = np.eye(2)[rng.integers(2, size=(4, 3))] if last[0] == "softmax" else rng.normal(size=(4, 3, 2))
    return network, network.initial(uniform(rng)), rng.normal(size=(6, 3, 2)), y, rng.random(3)


def numerical(function: Any, vector: Any) -> Any:
    """Return the gradient by central differences."""
    steps = np.eye(len(vector)) * 1e-5
    return np.array([(function(vector + step) - function(vector - step)) / 2e-5 for step in steps])


class TestGradients:
    @pytest.mark.parametrize(
        ("cell", "last", "bias"),
        list(product(CELLS, [("identity", "squared_error"), ("softmax", "log_likelihood")], [True, False])),
    )
    def test_it_is_the_slope_of_the_costs(self, cell: str, last: tuple[str, str], bias: bool) -> None:
        kind = GRUCell(after=True, inner=False) if cell == "gru" and not bias else CELLS[cell]
        network, vector, x, y, weights = problem(kind, last, bias=bias)

        def cost(v: Any) -> float:
            return float(weights @ costs(network, forward(network, v, x, len(y)).z, y))

        np.testing.assert_allclose(gradient(network, vector, x, y, weights), numerical(cost, vector), atol=1e-7)

    def test_without_a_readout_the_hidden_numbers_are_the_outputs(self) -> None:
        network = RecurrentNetwork((2, 2), 2, CELLS["rnn"], last_layer("identity", "squared_error"), readout=False)
        _, _, x, y, weights = problem(CELLS["rnn"], ("identity", "squared_error"))
        vector = network.initial(uniform(np.random.default_rng(1)))

        def cost(v: Any) -> float:
            return float(weights @ costs(network, forward(network, v, x, len(y)).z, y))

        np.testing.assert_allclose(gradient(network, vector, x, y, weights), numerical(cost, vector), atol=1e-7)

    def test_a_long_gradient_is_scaled_down_to_the_norm(self) -> None:
        np.testing.assert_allclose(clipped(np.array([3.0, 4.0]), 1.0), [0.6, 0.8])
        np.testing.assert_array_equal(clipped(np.array([3.0, 4.0]), 5.0), [3.0, 4.0])


def copied(module: nn.RNNBase, network: RecurrentNetwork, order: list[int], negated: int | None) -> Any:
    """Return torch's parameters in our order of gates; of the `negated` one with the other sign."""
    vector = np.empty(network.size)
    for number, part in enumerate(network.parts(vector).cells):
        names = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l")
        pieces = [np.split(getattr(module, f"{name}{number}").detach().numpy(), len(order)) for name in names]
        for piece in pieces:
            if negated is not None:
                piece[negated] = -piece[negated]
        x, h, b, c = (np.concatenate([piece[i] for i in order]).T for piece in pieces)
        part.inputs[:], part.hidden[:] = x, h
        if part.inner is None:
            part.biases[:] = b + c
        else:
            size = len(part.inner)
            part.biases[:] = b + np.concatenate([c[: 2 * size], np.zeros(size)])
            part.inner[:] = c[2 * size :]
    return vector


KINDS: dict[str, tuple[Any, list[int], int | None]] = {
    "rnn": (nn.RNN, [0], None),
    # torch: i, f, g, o; ours: i, f, o, g.
    "lstm": (nn.LSTM, [0, 1, 3, 2], None),
    # torch's z is one less ours.
    "gru": (nn.GRU, [0, 1, 2], 1),
}


class TestTorch:
    @pytest.mark.parametrize("name", KINDS)
    @pytest.mark.parametrize("window", [None, 2])
    def test_outputs_and_gradients_are_those_of_torch_on_copied_weights(self, name: str, window: int | None) -> None:
        kind, order, negated = KINDS[name]
        torch.manual_seed(0)
        module = kind(2, 3, num_layers=2).double()
        output = last_layer("identity", "squared_error")
        network = RecurrentNetwork((2, 3, 3), 3, CELLS[name], output, readout=False)
        vector = copied(module, network, order, negated)
        x = torch.randn(6, 4, 2, dtype=torch.float64)
        y = torch.randn(6, 4, 3, dtype=torch.float64)

        pieces, state = [], None
        for part in x.split(window or len(x)):
            found, state = module(part, state)
            pieces.append(found)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        hidden = torch.cat(pieces)
        ((hidden - y) ** 2).sum(2).mean(0).sum().backward()

        ours = forward(network, vector, x.numpy(), 6)
        np.testing.assert_allclose(ours.z, hidden.detach().numpy(), atol=1e-12)
        assert len(ours.end[0]) == network.cell.memories
        found = gradient(network, vector, x.numpy(), y.numpy(), np.ones(4), window)
        for parameter in module.parameters():
            parameter.data = parameter.grad
        slopes = copied(module, network, order, negated)
        for mine, theirs in zip(network.parts(found).cells, network.parts(slopes).cells, strict=True):
            np.testing.assert_allclose(mine.inputs, theirs.inputs, atol=1e-12)
            np.testing.assert_allclose(mine.hidden, theirs.hidden, atol=1e-12)
            # The slope by b + c is that by b, which `copied` adds up.
            size = mine.hidden.shape[0]
            double = 2 * mine.biases
            if mine.inner is not None:
                np.testing.assert_allclose(mine.inner, theirs.inner, atol=1e-12)
                double[2 * size :] /= 2
            np.testing.assert_allclose(double, theirs.biases, atol=1e-12)


class TestCells:
    def test_a_memory_with_an_open_forget_gate_and_a_closed_input_gate_is_kept_over_two_steps(self) -> None:
        weights = CellWeights(np.zeros((1, 4)), np.zeros((1, 4)), None, None)
        shut = np.array([-1e3, 1e3, 1e3, 0.7])
        hidden, (_, memory), _ = LSTMCell().forward(
            weights, np.tile(shut, (2, 1, 1)), (np.zeros((1, 1)), np.full((1, 1), 4.2))
        )
        assert memory[0, 0] == 4.2
        assert hidden[-1, 0, 0] == pytest.approx(np.tanh(4.2))

    @pytest.mark.parametrize("after", [True, False])
    def test_a_shut_update_gate_keeps_the_hidden_numbers(self, after: bool) -> None:
        weights = CellWeights(np.zeros((1, 3)), np.ones((1, 3)), None, None)
        sums = np.tile(np.array([0.3, -1e3, 2.0]), (3, 1, 1))
        hidden, _, _ = GRUCell(after, inner=False).forward(weights, sums, (np.full((1, 1), 0.4),))
        np.testing.assert_array_equal(hidden.ravel(), 0.4)


def counting(x: Any, target: float, epochs: int, **options: Any) -> RecurrentRegressor:
    learner = RecurrentRegressor(
        (1,), activation="identity", readout=False, bias=False, initial=[-2.0, 0.0], solver="sgd", learning_rate=0.0005,
        batch_size=100, n_epochs=epochs, keep_history=True, **options,
    )  # fmt: skip
    return learner.fit(x, np.full(len(x), target))


class TestCounting:
    def test_a_sequence_is_fitted_as_computed(self) -> None:
        learner = counting(ONES, 3, 150)
        assert learner.train_cost_[0] == 9.0
        assert learner.train_cost_[149] == pytest.approx(0.00109, abs=5e-6)
        np.testing.assert_allclose(learner.parameters_, [-2.0887, -0.7529], atol=5e-5)

    def test_four_times_as_long_the_gradient_explodes(self) -> None:
        with pytest.warns(ConvergenceWarning, match="after 26 epochs"):
            learner = counting(np.tile(ONES, 4), 12, 150, on_divergence="stop")
        assert learner.train_cost_[0] == 144.0
        assert learner.train_cost_[23] == pytest.approx(37.9, abs=0.05)
        assert learner.train_cost_[24] == pytest.approx(174_345, abs=1)
        assert len(learner.train_cost_) == len(learner.parameter_history_) == learner.n_iter_ + 1
        assert np.isfinite(learner.parameters_).all()
        with pytest.raises(SettingError, match="the cost grew without bound"):
            counting(np.tile(ONES, 4), 12, 150)

    @pytest.mark.parametrize(("epochs", "cost"), [(150, 140.4), pytest.param(5000, 0.0025, marks=pytest.mark.slow)])
    def test_clipped_it_stays_finite(self, epochs: int, cost: float) -> None:
        learner = counting(np.tile(ONES, 4), 12, epochs, max_grad_norm=1.0)
        # In the end every other step is the larger.
        assert max(learner.train_cost_[epochs - 1 :]) == pytest.approx(cost, rel=0.01)

    @pytest.mark.parametrize(("updates", "atol"), [(5_000, 0.1), pytest.param(20_000, 5e-5, marks=pytest.mark.slow)])
    def test_from_many_strings_it_learns_to_count(self, updates: int, atol: float) -> None:
        rng = np.random.default_rng(0)
        x = rng.integers(2, size=(100, 10)).astype(float)
        learner = RecurrentRegressor(
            (1,), activation="identity", readout=False, bias=False, initial=[-2.0, 0.0], solver="sgd",
            learning_rate=0.0005, batch_size=100, n_epochs=updates, random_state=0,
        ).fit(x, x.sum(1))  # fmt: skip
        np.testing.assert_allclose(learner.parameters_, 1.0, atol=atol)
        long = rng.integers(2, size=(5, 12)).astype(float)
        np.testing.assert_allclose(learner.predict(long[:, :, None]), long.sum(1), atol=12 * atol)


class TestForms:
    """What only a memory can know, in each form of outputs."""

    @pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
    def test_many_to_many_of_equal_length(self, cell: str) -> None:
        rng = np.random.default_rng(0)
        x = rng.integers(2, size=(200, 8))
        y = np.hstack((np.zeros((200, 1), int), x[:, :-1]))
        learner = RecurrentClassifier((8,), cell=cell, outputs="each", learning_rate=0.03, n_epochs=15, random_state=0)
        assert learner.fit(x[:150], y[:150]).score(x[150:], y[150:]) == 1.0
        assert learner.predict_proba(x[:3, :5, None]).shape == (3, 5, 2)

    def test_many_to_one(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.integers(2, size=(300, 6))
        learner = RecurrentClassifier((12,), cell="gru", learning_rate=0.03, n_epochs=40, random_state=0)
        assert learner.fit(x[:250], x[:250, 0]).score(x[250:], x[250:, 0]) == 1.0

    def test_one_to_many(self) -> None:
        x = np.linspace(-1, 1, 40)[:, None]
        y = np.stack([x[:, 0] * 0.5**k for k in range(5)], 1)
        learner = RecurrentRegressor((1,), activation="identity", outputs="after", learning_rate=0.03, random_state=0)
        assert learner.set_params(n_epochs=400).fit(x, y).score(x, y) > 0.999
        assert learner.predict(x).shape == (40, 5)

    def test_many_to_many_after_the_input(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.integers(2, size=(300, 3))
        learner = RecurrentClassifier(
            (24,), cell="lstm", outputs="after", learning_rate=0.03, n_epochs=60, random_state=0
        )
        assert learner.fit(x, x).score(x, x) == 1.0

    def test_steps_of_several_numbers(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 5, 3))
        y = np.cumsum(x[:, :, :2], 1)
        options: dict[str, Any] = {"activation": "identity", "outputs": "each", "learning_rate": 0.02, "n_epochs": 60}
        learner = RecurrentRegressor((4,), random_state=0, **options).fit(x, y)
        assert learner.score(x, y) > 0.999
        flat = RecurrentRegressor((4,), random_state=0, step_features=3, **options).fit(x.reshape(200, 15), y)
        np.testing.assert_array_equal(flat.parameters_, learner.parameters_)
        assert learner.parts().readout.weights.shape == (4, 2)


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cell": "lsmt"}, "cell is 'lsmt'"),
            ({"hidden_sizes": ()}, "hidden_sizes"),
            ({"outputs": "all"}, "outputs is 'all'"),
            ({"outputs": "each"}, "the steps of y with outputs=each is 1; it must be 4"),
            ({"step_features": 3}, "step_features is 3; it must be a divisor"),
            ({"readout": False}, "hidden_sizes"),
            ({"initial": [1.0]}, "initial"),
            ({"truncation": 0}, "truncation is 0"),
            ({"dtype": "float16"}, "dtype"),
            ({"on_divergence": "ignore", "learning_rate": 1e300}, "on_divergence"),
        ],
    )
    def test_an_argument_that_cannot_be_is_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingError, match=message):
            RecurrentRegressor(**{"solver": "sgd", "n_epochs": 5, **options}).fit(np.ones((6, 4)), np.arange(6.0))

    def test_single_precision_is_close_and_stays_single(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(2, 50, 6))
        made = [RecurrentRegressor(dtype=d, n_epochs=5, random_state=0).fit(x, y[:, 0]) for d in ("float32", "float64")]
        assert made[0].parameters_.dtype == np.float32
        np.testing.assert_allclose(made[0].predict(x), made[1].predict(x), atol=1e-4)


class TestContract:
    @pytest.mark.filterwarnings("ignore")  # a few checks provoke warnings
    @pytest.mark.parametrize(
        "estimator",
        [
            RecurrentRegressor(n_epochs=20, learning_rate=0.01),
            RecurrentClassifier(n_epochs=10, learning_rate=0.02),
            pytest.param(RecurrentClassifier(cell="gru", n_epochs=10, learning_rate=0.02), marks=pytest.mark.slow),
        ],
        ids=repr,
    )
    def test_scikit_learns_checks_pass(self, estimator: Any) -> None:
        results = check_estimator(estimator, on_skip=None)
        assert {result["status"] for result in results} <= {"passed", "skipped"}

    def test_it_goes_on_where_it_ended(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(2, 60, 6))
        whole = RecurrentRegressor(n_epochs=3, random_state=0).fit(x, y[:, 0])
        piece = RecurrentRegressor(random_state=0)
        for _ in range(3):
            piece.partial_fit(x, y[:, 0])
        np.testing.assert_array_equal(piece.parameters_, whole.parameters_)
