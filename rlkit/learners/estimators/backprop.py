"""Fully connected networks as one vector of parameters, and the gradient of their cost by backpropagation.

B rows, L layers of weights, P parameters; layer l has weights [W_l, W_(l+1)] and biases [W_(l+1)]. After Nielsen,
Neural Networks and Deep Learning, chapter 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.activations import Activation
from rlkit.learners.estimators.costs import OutputLayer


class Layer(NamedTuple):
    """Views of a vector of parameters."""

    weights: Array  # [in, out]
    biases: Array | None  # [out]


@dataclass(frozen=True)
class Network:
    """What a vector of parameters means.

    Attributes:
        widths: of the input, the hidden layers and the output.
        hidden: activation of each hidden layer.
        output: activation and cost of the last.
        bias: layers have biases.
    """

    widths: tuple[int, ...]
    hidden: tuple[Activation, ...]
    output: OutputLayer
    bias: bool = True

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum((rows + self.bias) * columns for rows, columns in pairwise(self.widths))

    def layers(self, vector: Array) -> list[Layer]:
        """Return views of a vector [P], of parameters or of a gradient."""
        found, start = [], 0
        for rows, columns in pairwise(self.widths):
            weights = vector[start : start + rows * columns].reshape(rows, columns)
            start += rows * columns
            biases = vector[start : start + columns] if self.bias else None
            start += columns * self.bias
            found.append(Layer(weights, biases))
        return found

    @cached_property
    def marks(self) -> Array:
        """[P] 1.0 where a parameter is a weight and 0.0 where it is a bias, which no penalty touches."""
        marks = np.zeros(self.size)
        for layer in self.layers(marks):
            layer.weights[:] = 1.0
        return marks


Initializer = Callable[[tuple[int, int], np.random.Generator], Array]
"""Draws weights [in, out] of a shape."""

INITIALIZERS: dict[str, Initializer] = {
    "normal": lambda shape, rng: rng.standard_normal(shape) / sqrt(shape[0]),
    "uniform": lambda shape, rng: rng.uniform(-1.0, 1.0, shape) / sqrt(shape[0]),
    "glorot": lambda shape, rng: rng.uniform(-1.0, 1.0, shape) * sqrt(6 / sum(shape)),
    "he": lambda shape, rng: rng.standard_normal(shape) * sqrt(2 / shape[0]),
}
"""Weights [in, out] to begin with: N(0, 1) or U(-1, 1), over the root of in; U(-1, 1) times sqrt(6 / (in + out))
(Glorot & Bengio, 2010); N(0, 2 / in) (He et al., 2015)."""


def uniform(shape: tuple[int, int], rng: np.random.Generator, *, low: float, high: float) -> Array:
    """Return weights [in, out] of a `shape` from U(low, high); with its range bound, an initializer."""
    return rng.uniform(low, high, shape)


def initial(network: Network, init: Initializer, rng: np.random.Generator) -> Array:
    """Return parameters [P] to begin with: weights as `init` draws them, biases 0."""
    vector = np.zeros(network.size)
    for layer in network.layers(vector):
        rows, columns = layer.weights.shape
        layer.weights[:] = init((rows, columns), rng)
    return vector


def forward(network: Network, vector: Array, x: Any, masks: Sequence[Array] = ()) -> tuple[list[Array], Array]:
    """Return the activations of the hidden layers, before dropout, and the last layer's z [B, K].

    Args:
        network: what `vector` means.
        vector: [P].
        x: [B, W_0], dense or sparse.
        masks: what each hidden layer's activations [B, W_l] are multiplied by; none where nothing is dropped.
    """
    *lower, last = network.layers(vector)
    activations, below = [], x
    for number, (layer, activation) in enumerate(zip(lower, network.hidden, strict=True)):
        activations.append(activation.value(_through(layer, below)))
        below = activations[-1] * masks[number] if masks else activations[-1]
    return activations, _through(last, below)


def gradient(network: Network, vector: Array, x: Any, y: Array, weights: Array, masks: Sequence[Array] = ()) -> Array:
    """Return the gradient [P] of the weighted sum of the rows' costs.

    Args:
        network: what `vector` means.
        vector: [P].
        x: [B, W_0], dense or sparse.
        y: [B, K] targets.
        weights: [B] of the rows.
        masks: as in `forward`.
    """
    activations, z = forward(network, vector, x, masks)
    found = np.empty_like(vector)
    delta = network.output.delta(network.output.value(z), y) * weights[:, None]
    levels = list(zip(network.layers(vector), network.layers(found), strict=True))
    for number in range(len(levels) - 1, -1, -1):
        layer, wanted = levels[number]
        below = activations[number - 1] if number else x
        mask = masks[number - 1] if masks and number else None
        wanted.weights[:] = (below if mask is None else below * mask).T @ delta
        if wanted.biases is not None:
            wanted.biases[:] = delta.sum(0)
        if number:
            delta = delta @ layer.weights.T
            delta = (delta if mask is None else delta * mask) * network.hidden[number - 1].derivative(below)
    return found


def penalty(vector: Array, marks: Array, l1: float, l2: float) -> tuple[float, Array]:
    """Return ``l1 * sum(abs(w)) + l2 / 2 * sum(w * w)`` and its gradient [P]; at 0 that of the first is 0.

    Args:
        vector: [P] parameters.
        marks: [P] 1.0 for each weight w, 0.0 for the others.
        l1: not negative.
        l2: not negative.
    """
    weights = vector * marks
    return float(l1 * np.abs(weights).sum() + l2 / 2 * (weights @ weights)), l1 * np.sign(weights) + l2 * weights


def dropout_masks(network: Network, rows: int, dropout: float, rng: np.random.Generator) -> list[Array]:
    """Return masks [rows, W_l] float64 for `forward`, none where `dropout` is 0.

    They are 0 for a share of the hidden neurons of each row, else ``1 / (1 - dropout)``.
    """
    if not dropout:
        return []
    return [(rng.random((rows, width)) >= dropout) / (1 - dropout) for width in network.widths[1:-1]]


def _through(layer: Layer, x: Any) -> Array:
    z = x @ layer.weights
    return np.asarray(z if layer.biases is None else z + layer.biases)
