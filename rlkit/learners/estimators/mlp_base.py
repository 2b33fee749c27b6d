"""What multi-layer perceptrons for classes and for numbers share: their arguments, and training in epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.resources import require_memory
from rlkit.core.types import Array
from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.backprop import INITIALIZERS, Network, dropout_masks, forward, gradient, initial, penalty
from rlkit.learners.estimators.costs import PAIRS, last_layer
from rlkit.learners.estimators.epochs import EarlyStopping, OnEpoch, batches, held_out, report_epoch
from rlkit.learners.estimators.optimizers import SGD, Adam, ParameterOptimizer
from rlkit.learners.estimators.rows import row_weights
from rlkit.learners.estimators.settings import choose, generator, require

_REDUCTIONS = {"mean": True, "sum": False}


class BaseMLP(BaseEstimator):
    """A network of fully connected layers, whose gradient is computed layer by layer from the last to the first.

    What is minimized is the mean cost of the rows plus ``l1 / n * sum(abs(w)) + l2 / (2 n) * sum(w * w)`` over the
    weights, not the biases, n being the number of rows (the sum of their weights). With ``reduction=sum`` everything is
    times the rows of a batch, so that the same learning rate steps as many times as far.

    Attributes:
        parameters_: [P] float64, layer after layer; `coefs_` and `intercepts_` are views of it.
        n_outputs_: K, neurons of the last layer.
        n_iter_: epochs that were run.
        train_cost_: what is minimized, after each epoch and without dropout.
        validation_cost_: the mean cost of the rows held out or given, after each epoch; empty without them.
    """

    parameters_: Array

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        *,
        activation: Any = "relu",
        output: str = "auto",
        cost: str = "auto",
        bias: bool = True,
        init: Any = "glorot",
        solver: str = "adam",
        learning_rate: PositiveFloat = 0.001,
        momentum: Probability = 0.9,
        beta_1: ShareBelowOne = 0.9,
        beta_2: ShareBelowOne = 0.999,
        reduction: str = "mean",
        l1: NonNegativeFloat = 0.0,
        l2: NonNegativeFloat = 0.0,
        dropout: ShareBelowOne = 0.0,
        batch_size: PositiveInt = 200,
        n_epochs: PositiveInt = 200,
        early_stopping: bool = False,
        validation_fraction: ShareBelowOne = 0.1,
        n_iter_no_change: PositiveInt = 10,
        tol: NonNegativeFloat = 1e-4,
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            hidden_layer_sizes: width of each hidden layer; none for a linear model.
            activation: of the hidden layers, one of `activations.ACTIVATIONS`; or a list, one for each.
            output: activation of the last layer: softmax, sigmoid, tanh or identity. auto: softmax for classes, sigmoid
                for several labels, identity for numbers.
            cost: log_likelihood for softmax, cross_entropy or quadratic for sigmoid, quadratic for the others; auto:
                the first of these.
            bias: layers have biases.
            init: normal, uniform, glorot or he, see `backprop.INITIALIZERS`; or a function of a shape
                (in, out) and a generator.
            solver: sgd, momentum or adam.
            learning_rate: of a step.
            momentum: share of the last step that goes on, for momentum.
            beta_1: decay of the mean of the gradients, for adam.
            beta_2: decay of the mean of their squares, for adam.
            reduction: of a batch's gradient: mean over its rows, or sum.
            l1: weight of the sizes of the weights.
            l2: weight of their squares.
            dropout: share of hidden neurons that are left out, drawn separately for each row of each batch.
            batch_size: rows of a step; shuffled every epoch, and the last batch has what is left.
            n_epochs: passes over the rows; with `early_stopping` at most as many.
            early_stopping: hold `validation_fraction` of the rows out (unless `fit` is given others), stop after
                `n_iter_no_change` epochs without its cost falling by more than `tol`, and keep the best parameters.
            validation_fraction: of the rows, of every class alike; used with `early_stopping`.
            n_iter_no_change: epochs; used with `early_stopping`.
            tol: used with `early_stopping`.
            random_state: None, an integer, a `RandomState` or a `Generator`.
        """
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output = output
        self.cost = cost
        self.bias = bias
        self.init = init
        self.solver = solver
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.reduction = reduction
        self.l1 = l1
        self.l2 = l2
        self.dropout = dropout
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None, on_epoch: OnEpoch | None = None
    ) -> Self:
        """Learn from rows X [n, F], dense or sparse, with targets y [n] or [n, K].

        Args:
            X: rows.
            y: their targets.
            sample_weight: [n] of at least 0; None: 1 each.
            validation: (X, y) of other rows, whose cost is recorded, and which `early_stopping` goes by.
            on_epoch: is called with the costs after each epoch.

        Raises:
            SettingError: an argument that cannot be, or costs that grow without bound.
        """
        x, targets, weights = self._rows(X, y, sample_weight)
        watched = None if validation is None else self._rows(validation[0], validation[1], None, first=False)
        self._begin(x.shape[1], targets.shape[1])
        if self.early_stopping and watched is None:
            kept, left = held_out(len(targets), self.validation_fraction, self._strata(targets), self._rng)
            watched = x[left], targets[left], weights[left]
            x, targets, weights = x[kept], targets[kept], weights[kept]
        stopping = EarlyStopping(self.n_iter_no_change, self.tol)
        for _ in range(self.n_epochs):
            self._epoch(x, targets, weights)
            if watched is not None:
                self.validation_cost_.append(self._mean_cost(*watched))
            costs = {"cost": self.train_cost_, "validation_cost": self.validation_cost_}
            report_epoch(on_epoch, self.n_iter_, self.n_epochs, **costs)
            if self.early_stopping and stopping.stops(self.validation_cost_[-1], self.parameters_.copy()):
                break
        if self.early_stopping:
            self.parameters_ = stopping.best
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool) -> Self:
        x, targets, weights = self._rows(X, y, sample_weight, first=first)
        if first:
            self._begin(x.shape[1], targets.shape[1])
        self._epoch(x, targets, weights)
        return self

    @property
    def coefs_(self) -> list[Array]:
        """Weights [in, out] of each layer."""
        return [layer.weights for layer in self._network().layers(self.parameters_)]

    @property
    def intercepts_(self) -> list[Array]:
        """Biases [out] of each layer; empty where there are none."""
        return [layer.biases for layer in self._network().layers(self.parameters_) if layer.biases is not None]

    def _network(self) -> Network:
        sizes = tuple(np.atleast_1d(np.asarray(self.hidden_layer_sizes, np.int64)).tolist())
        require(all(size >= 1 for size in sizes), "hidden_layer_sizes", self.hidden_layer_sizes, "positive widths")
        names = [self.activation] * len(sizes) if isinstance(self.activation, str) else list(self.activation)
        require(len(names) == len(sizes), "activation", self.activation, f"one, or a list of {len(sizes)}")
        hidden = tuple(choose("activation", name, ACTIVATIONS) for name in names)
        last = self._usual_output() if self.output == "auto" else self.output
        cost = choose("output", last, PAIRS)[0] if self.cost == "auto" else self.cost
        return Network((self.n_features_in_, *sizes, self.n_outputs_), hidden, last_layer(last, cost), bool(self.bias))

    def _usual_output(self) -> str:
        raise NotImplementedError

    def _optimizer(self) -> ParameterOptimizer:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        shares = {"momentum": self.momentum, "beta_1": self.beta_1, "beta_2": self.beta_2, "dropout": self.dropout}
        for name, value in shares.items():
            require(0 <= value < 1, name, value, "at least 0 and less than 1")
        rate = float(self.learning_rate)
        made: dict[str, Callable[[], ParameterOptimizer]] = {
            "sgd": lambda: SGD(rate),
            "momentum": lambda: SGD(rate, self.momentum),
            "adam": lambda: Adam(rate, self.beta_1, self.beta_2),
        }
        return choose("solver", self.solver, made)()

    def _begin(self, inputs: int, outputs: int) -> None:
        """Check the arguments, draw parameters, and forget what was learned."""
        for name in ("batch_size", "n_epochs", "n_iter_no_change"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("l1", "l2", "tol"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        choose("reduction", self.reduction, _REDUCTIONS)
        self.n_outputs_ = outputs
        self._rng, self._descent = generator(self.random_state), self._optimizer()
        init = self.init if callable(self.init) else choose("init", self.init, INITIALIZERS)
        network = self._network()
        # Parameters, their gradient, and two moments of the optimizer.
        require_memory(32 * network.size, f"a network of {network.size:,} parameters", "set {hidden_layer_sizes} lower")
        self.parameters_ = initial(network, init, self._rng)
        self.n_iter_ = 0
        self.train_cost_: list[float] = []
        self.validation_cost_: list[float] = []

    def _epoch(self, x: Any, y: Array, weights: Array) -> None:
        network, total = self._network(), float(weights.sum())
        marks = network.weights()
        for rows in batches(len(y), self.batch_size, self._rng):
            masks = dropout_masks(network, len(rows), self.dropout, self._rng)
            found = gradient(network, self.parameters_, x[rows], y[rows], weights[rows], masks)
            # Rows as their weights count them: a row of weight 2 is two rows of weight 1.
            size = len(rows) * total / len(y)
            if self.l1 or self.l2:
                found += size * penalty(self.parameters_, marks, self.l1 / total, self.l2 / total)[1]
            self._descent.step(self.parameters_, found / size if _REDUCTIONS[self.reduction] else found)
        self.n_iter_ += 1
        costs = penalty(self.parameters_, marks, self.l1 / total, self.l2 / total)[0]
        self.train_cost_.append(self._mean_cost(x, y, weights) + costs)
        rule = "lower, or the features' scale smaller: the cost grew without bound"
        require(bool(np.isfinite(self.train_cost_[-1])), "learning_rate", self.learning_rate, rule)

    def _mean_cost(self, x: Any, y: Array, weights: Array) -> float:
        network = self._network()
        return float(weights @ network.output.cost(forward(network, self.parameters_, x)[1], y) / weights.sum())

    def _outputs(self, X: Any) -> Array:
        """Return the last layer's activations [B, K]."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        network = self._network()
        return network.output.value(forward(network, self.parameters_, x)[1])

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, first: bool = True) -> tuple[Any, Array, Array]:
        """Return rows, targets [n, K] and weights, without the rows of weight 0; `first` learns what targets are."""
        x, targets = self._validated(X, y, first)
        weights = row_weights(sample_weight, x.shape[0])
        if weights.all():
            return x, targets, weights
        kept = np.flatnonzero(weights)
        return x[kept], targets[kept], weights[kept]

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        """Return rows as floats, dense or as CSR, and targets [n, K]."""
        raise NotImplementedError

    def _strata(self, targets: Array) -> Array | None:
        """Return what is held out of alike [n], or None."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
