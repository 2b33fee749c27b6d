"""What multi-layer perceptrons for classes and for numbers share: their arguments, and their network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.types import Array
from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.backprop import INITIALIZERS, Network, dropout_masks, forward, gradient, initial, penalty
from rlkit.learners.estimators.costs import PAIRS, last_layer
from rlkit.learners.estimators.epoch_learner import EpochLearner
from rlkit.learners.estimators.settings import choose, require

_REDUCTIONS = {"mean": True, "sum": False}


class BaseMLP(EpochLearner):
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

    def _shares(self) -> tuple[str, ...]:
        return (*super()._shares(), "dropout")

    def _not_negative(self) -> tuple[str, ...]:
        return (*super()._not_negative(), "l1", "l2")

    def _begin(self, targets: Array) -> None:
        choose("reduction", self.reduction, _REDUCTIONS)
        super()._begin(targets)

    def _too_large(self) -> str:
        return "{hidden_layer_sizes}"

    def _initial(self) -> Array:
        init = self.init if callable(self.init) else choose("init", self.init, INITIALIZERS)
        return initial(self._network(), init, self._rng)

    def _gradient(self, network: Network, x: Any, y: Array, weights: Array, size: float, total: float) -> Array:
        masks = dropout_masks(network, len(y), self.dropout, self._rng)
        found = gradient(network, self.parameters_, x, y, weights, masks)
        if self.l1 or self.l2:
            found += size * penalty(self.parameters_, network.marks, self.l1 / total, self.l2 / total)[1]
        return found / size if _REDUCTIONS[self.reduction] else found

    def _penalty(self, network: Network, total: float) -> float:
        return penalty(self.parameters_, network.marks, self.l1 / total, self.l2 / total)[0]

    def _costs(self, network: Network, x: Any, y: Array) -> Array:
        return network.output.cost(forward(network, self.parameters_, x)[1], y)

    def _outputs(self, X: Any) -> Array:
        """Return the last layer's activations [B, K]."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        network = self._network()
        return network.output.value(forward(network, self.parameters_, x)[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
