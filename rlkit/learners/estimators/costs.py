"""Costs of a network's outputs, with the derivative by their inputs, and which output each goes with.

Sums of inputs are z, activations a, targets y; all [B, K]. Costs are [B], one for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.activations import ACTIVATIONS, softmax
from rlkit.learners.estimators.settings import choose, require

PAIRS = {
    "sigmoid": ("cross_entropy", "quadratic"),
    "softmax": ("log_likelihood",),
    "tanh": ("quadratic", "squared_error"),
    "identity": ("quadratic", "squared_error"),
}
"""The costs that go with each output, the usual one first."""


class OutputLayer(NamedTuple):
    """The last layer: its activation, its cost, and where backpropagation begins."""

    value: Callable[[Array], Array]
    """From z to a."""
    cost: Callable[[Array, Array], Array]
    """From z and y to the costs."""
    delta: Callable[[Array, Array], Array]
    """From a and y to the derivatives [B, K] of the costs by z."""


def last_layer(activation: str, cost: str) -> OutputLayer:
    """Return the last layer.

    squared_error is ``sum((a - y)**2)``, quadratic half of it, cross_entropy ``-sum(y ln a + (1 - y) ln(1 - a))`` and
    log_likelihood ``-sum(y ln a)`` (Nielsen, Neural Networks and Deep Learning, chapters 1 and 3). The last two are
    computed from z, so that no logarithm of 0 is met.

    Raises:
        SettingError: an unknown output, or a cost that does not go with it.
    """
    costs = choose("output", activation, PAIRS)
    require(cost in costs, f"the cost of {activation} outputs", cost, " or ".join(costs))
    if cost == "log_likelihood":
        return OutputLayer(softmax, _log_likelihood, _difference)
    if cost == "cross_entropy":
        return OutputLayer(ACTIVATIONS[activation].value, _cross_entropy, _difference)
    value, derivative = ACTIVATIONS[activation]
    factor = 2 if cost == "squared_error" else 1

    def squared(z: Array, y: Array) -> Array:
        return np.asarray(((value(z) - y) ** 2).sum(1) * (factor / 2))

    return OutputLayer(value, squared, lambda a, y: factor * (a - y) * derivative(a))


def _difference(a: Array, y: Array) -> Array:
    return a - y


def _cross_entropy(z: Array, y: Array) -> Array:
    return np.asarray((np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).sum(1))


def _log_likelihood(z: Array, y: Array) -> Array:
    largest = z.max(1, keepdims=True)
    logs = z - largest - np.log(np.exp(z - largest).sum(1, keepdims=True))
    return np.asarray(-(y * logs).sum(1))
