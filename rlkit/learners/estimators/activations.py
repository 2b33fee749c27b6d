"""Activations of neurons, and their derivatives in terms of the activation itself.

Sums of inputs are z, activations a; any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array

LEAK = 0.01
"""Slope of the leaky ReLU where it is negative."""


class Activation(NamedTuple):
    """A function of one neuron's input."""

    value: Callable[[Array], Array]
    """From z to a."""
    derivative: Callable[[Array], Array]
    """From a, not from z, to da/dz."""


def sigmoid(z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))`` of z [...] without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def softmax(z: Array) -> Array:
    """Return the shares of ``exp(z)`` in the sum of their row; z is [B, K]."""
    powers = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


ACTIVATIONS = {
    "identity": Activation(lambda z: z, np.ones_like),
    "sigmoid": Activation(sigmoid, lambda a: a * (1 - a)),
    "tanh": Activation(np.tanh, lambda a: 1 - a * a),
    # The derivative at 0 is that of the negative side.
    "relu": Activation(lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(a.dtype)),
    "leaky_relu": Activation(lambda z: np.maximum(z, LEAK * z), lambda a: np.where(a > 0, 1.0, LEAK)),
    "elu": Activation(lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda a: np.where(a > 0, 1.0, a + 1)),
}
