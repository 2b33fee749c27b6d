"""What recurrent networks for classes and for numbers share: their arguments, and sequences as rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.types import Array
from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.costs import PAIRS, last_layer
from rlkit.learners.estimators.epoch_learner import EpochLearner
from rlkit.learners.estimators.recurrent_cells import Cell, GRUCell, LSTMCell, SimpleCell
from rlkit.learners.estimators.recurrent_network import (
    Parts,
    RecurrentNetwork,
    clipped,
    costs,
    forward,
    gradient,
    uniform,
)
from rlkit.learners.estimators.settings import choose, require

_DTYPES = {"float32": np.float32, "float64": np.float64}
_OUTPUTS = ("last", "each", "after")


class BaseRecurrent(EpochLearner):
    """Layers of recurrent cells, trained by backpropagation through time, whose backward passes are explicit.

    Sequences are rows: X [n, T, D], or [n, T * D] where D is `step_features`. All of one fit have the same length;
    those of a prediction may have another, as [n, T, D].

    Attributes:
        parameters_: [P], layer after layer: weights of inputs, of hidden numbers, biases; then the readout's.
        parameter_history_: [n_iter_ + 1, P], with `keep_history`; the first are those before training, as the first of
            `train_cost_` then is the cost before it.
    """

    def __init__(
        self,
        hidden_sizes: Any = (32,),
        *,
        cell: str = "rnn",
        activation: str = "tanh",
        reset: str = "after",
        outputs: str = "last",
        step_features: PositiveInt = 1,
        readout: bool = True,
        output: str = "auto",
        cost: str = "auto",
        bias: bool = True,
        initial: Any = None,
        solver: str = "adam",
        learning_rate: PositiveFloat = 0.001,
        momentum: Probability = 0.9,
        beta_1: ShareBelowOne = 0.9,
        beta_2: ShareBelowOne = 0.999,
        truncation: PositiveInt | None = None,
        max_grad_norm: PositiveFloat | None = None,
        batch_size: PositiveInt = 32,
        n_epochs: PositiveInt = 100,
        early_stopping: bool = False,
        validation_fraction: ShareBelowOne = 0.1,
        n_iter_no_change: PositiveInt = 10,
        tol: NonNegativeFloat = 1e-4,
        keep_history: bool = False,
        on_divergence: str = "raise",
        dtype: str = "float64",
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            hidden_sizes: width of each layer of cells.
            cell: rnn, lstm or gru, see `recurrent_cells`.
            activation: of the cells of an rnn, one of `activations.ACTIVATIONS`.
            reset: of a gru: after, as torch, or before, as published.
            outputs: which steps have one. last: the last alone (many-to-one). each: every one, y being [n, T] or
                [n, T, K] (many-to-many). after: as many as y has, from the last input's on, with inputs of 0 behind it
                (many-to-many; from sequences of one step: one-to-many).
            step_features: D, numbers of a step, where X has two axes.
            readout: outputs are a linear layer upon the hidden numbers; else they are these.
            output: activation of the outputs: softmax, sigmoid, tanh or identity. auto: softmax for classes, identity
                for numbers.
            cost: as of `costs.last_layer`; auto: log_likelihood for softmax, cross_entropy for sigmoid, and
                squared_error for the others.
            bias: layers have biases.
            initial: parameters [P] to begin with; None: drawn as torch does, uniform within one over the root of the
                layer's width.
            solver: sgd, momentum or adam.
            learning_rate: of a step.
            momentum: share of the last step that goes on, for momentum.
            beta_1: decay of the mean of the gradients, for adam.
            beta_2: decay of the mean of their squares, for adam.
            truncation: gradients do not flow from one window of as many steps to the one before; None: to the start.
            max_grad_norm: gradients with a larger norm are scaled down to this one; None: never.
            batch_size: rows of a step; shuffled every epoch, and the last batch has what is left.
            n_epochs: passes over the rows; with `early_stopping` at most as many.
            early_stopping: hold `validation_fraction` of the rows out (unless `fit` is given others), stop after
                `n_iter_no_change` epochs without its cost falling by more than `tol`, and keep the best parameters.
            validation_fraction: of the rows, of every class alike; used with `early_stopping`.
            n_iter_no_change: epochs; used with `early_stopping`.
            tol: used with `early_stopping`.
            keep_history: keep the parameters of every epoch, and the cost before the first.
            on_divergence: what happens where the cost grows without bound: raise an error, or stop with a warning and
                the last parameters whose cost is a number.
            dtype: float64, or float32, which is faster.
            random_state: None, an integer, a `RandomState` or a `Generator`.
        """
        self.hidden_sizes = hidden_sizes
        self.cell = cell
        self.activation = activation
        self.reset = reset
        self.outputs = outputs
        self.step_features = step_features
        self.readout = readout
        self.output = output
        self.cost = cost
        self.bias = bias
        self.initial = initial
        self.solver = solver
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.truncation = truncation
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.keep_history = keep_history
        self.on_divergence = on_divergence
        self.dtype = dtype
        self.random_state = random_state

    def parts(self) -> Parts:
        """Return views of `parameters_`: the weights of each layer of cells, and of the readout."""
        check_is_fitted(self)
        return self._network().parts(self.parameters_)

    def _cell(self) -> Cell:
        after = choose("reset", self.reset, {"after": True, "before": False})
        activation = choose("activation", self.activation, ACTIVATIONS)
        made: dict[str, Callable[[], Cell]] = {
            "rnn": lambda: SimpleCell(activation),
            "lstm": LSTMCell,
            "gru": lambda: GRUCell(after, inner=after),
        }
        return choose("cell", self.cell, made)()

    def _network(self) -> RecurrentNetwork:
        sizes = tuple(np.atleast_1d(np.asarray(self.hidden_sizes, np.int64)).tolist())
        require(len(sizes) > 0 and min(sizes) >= 1, "hidden_sizes", self.hidden_sizes, "one or more positive widths")
        fits = self.readout or sizes[-1] == self.n_outputs_
        require(fits, "hidden_sizes", self.hidden_sizes, f"{self.n_outputs_} at the end, as y has, or set readout=True")
        last = self._usual_output() if self.output == "auto" else self.output
        usual = {"identity": "squared_error", "tanh": "squared_error"}
        cost = usual.get(last, choose("output", last, PAIRS)[0]) if self.cost == "auto" else self.cost
        widths = (self.step_features_, *sizes)
        return RecurrentNetwork(
            widths, self.n_outputs_, self._cell(), last_layer(last, cost), bool(self.bias), bool(self.readout)
        )

    def _usual_output(self) -> str:
        raise NotImplementedError

    def _too_large(self) -> str:
        return "{hidden_sizes}"

    def _begin(self, targets: Array) -> None:
        for name in ("truncation", "max_grad_norm"):
            value = getattr(self, name)
            require(value is None or value > 0, name, value, "positive, or None")
        super()._begin(targets)
        self.parameter_history_ = [self.parameters_.copy()] if self.keep_history else []

    def _initial(self) -> Array:
        network, dtype = self._network(), choose("dtype", self.dtype, _DTYPES)
        if self.initial is None:
            return network.initial(uniform(self._rng)).astype(dtype)
        given = np.array(self.initial, dtype).ravel()
        require(len(given) == network.size, "initial", self.initial, f"{network.size} numbers")
        return given

    def _epoch(self, x: Any, y: Array, weights: Array) -> None:
        if self.keep_history and not self.train_cost_:
            self.train_cost_.append(self._mean_cost(x, y, weights))
        if self.on_divergence == "stop":
            self._before = self.parameters_.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            super()._epoch(x, y, weights)
        if self.keep_history:
            self.parameter_history_.append(self.parameters_.copy())

    def _diverged(self) -> None:
        if choose("on_divergence", self.on_divergence, {"raise": True, "stop": False}):
            super()._diverged()
        warnings.warn(f"the cost grew without bound after {self.n_iter_} epochs", ConvergenceWarning, stacklevel=3)
        self.parameters_, self.n_iter_ = self._before, self.n_iter_ - 1
        del self.train_cost_[-1], self.parameter_history_[self.n_iter_ + 1 :]

    def _gradient(
        self, network: RecurrentNetwork, x: Any, y: Array, weights: Array, size: float, total: float
    ) -> Array:
        weights = weights.astype(self.parameters_.dtype)
        found = gradient(network, self.parameters_, *self._by_step(x, y), weights, self.truncation)
        return clipped(found / size, self.max_grad_norm)

    def _costs(self, network: RecurrentNetwork, x: Any, y: Array) -> Array:
        steps, targets = self._by_step(x, y)
        return costs(network, forward(network, self.parameters_, steps, len(targets)).z, targets)

    def _by_step(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return inputs [T, B, D] and targets [S, B, K], steps first, of rows."""
        dtype = self.parameters_.dtype
        behind = y.shape[1] - 1 if self.outputs == "after" else 0
        return _steps_first(x, behind, dtype), np.ascontiguousarray(y.swapaxes(0, 1), dtype)

    def _predicted(self, X: Any) -> Array:
        """Return the outputs [n, S, K] for sequences X."""
        check_is_fitted(self)
        x, network = self._sequences(X, first=False), self._network()
        steps = x.shape[1] if self.outputs == "each" else self.n_steps_
        inputs = _steps_first(x, steps - 1 if self.outputs == "after" else 0, self.parameters_.dtype)
        z = forward(network, self.parameters_, inputs, steps).z
        return network.output.value(z.reshape(-1, z.shape[-1])).reshape(z.shape).swapaxes(0, 1)

    def _sequences(self, X: Any, *, first: bool) -> Array:
        """Return [n, T, D] of X [n, T, D] or [n, T * D]."""
        X = X if hasattr(X, "shape") else np.asarray(X)
        options: dict[str, Any] = {"dtype": np.float64, "allow_nd": True}
        # Sequences of a prediction may be longer than those of fit, which scikit-learn's own check would refuse.
        longer = X.ndim == 3 and not first
        x = check_array(X, **options) if longer else validate_data(self, X, reset=first, **options)
        features = x.shape[2] if x.ndim == 3 else int(self.step_features)
        if first:
            self.step_features_ = features
        width = self.step_features_
        require(features == width, "the features of a step", features, f"{width}, as in fit")
        require(x.size % (len(x) * width) == 0, "step_features", width, f"a divisor of the {x.shape[-1]} columns of X")
        return np.asarray(x).reshape(len(x), -1, width)

    def _require_steps(self, x: Array, steps: int) -> None:
        require(self.outputs in _OUTPUTS, "outputs", self.outputs, f"one of {', '.join(_OUTPUTS)}")
        right = {"last": 1, "each": x.shape[1], "after": steps}[self.outputs]
        require(steps == right, f"the steps of y with outputs={self.outputs}", steps, str(right))
        self.n_steps_ = steps


def _steps_first(x: Array, behind: int, dtype: Any) -> Array:
    """Return [T + behind, n, D] of x [n, T, D], with zeros behind."""
    inputs = np.zeros((x.shape[1] + behind, x.shape[0], x.shape[2]), dtype)
    inputs[: x.shape[1]] = x.swapaxes(0, 1)
    return inputs
