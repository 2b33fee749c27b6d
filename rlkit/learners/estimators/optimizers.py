"""Steps down a gradient, for a vector [P] of parameters that is changed in place."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rlkit.core.types import Array


class ParameterOptimizer(Protocol):
    """Remembers what it needs of earlier steps."""

    def step(self, vector: Array, gradient: Array) -> None:
        """Change the parameters `vector` [P] in place, by the cost's `gradient` [P]."""


class SGD:
    """Plain steps, or with momentum: ``v = momentum v - lr g; w = w + v`` (Polyak, 1964)."""

    def __init__(self, learning_rate: float, momentum: float = 0.0):
        """Begin at rest."""
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._velocity: Array | float = 0.0

    def step(self, vector: Array, gradient: Array) -> None:
        """Change the parameters `vector` [P] in place, by the cost's `gradient` [P]."""
        self._velocity = self._momentum * self._velocity - self._learning_rate * gradient
        vector += self._velocity


class Adam:
    """Steps of about equal size for every parameter (Kingma & Ba, 2015, algorithm 1)."""

    def __init__(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8):
        """Begin without a memory of gradients."""
        self._learning_rate = learning_rate
        self._betas = (beta_1, beta_2)
        self._epsilon = epsilon
        self._mean: Array | float = 0.0
        self._square: Array | float = 0.0
        self._steps = 0

    def step(self, vector: Array, gradient: Array) -> None:
        """Change the parameters `vector` [P] in place, by the cost's `gradient` [P]."""
        first, second = self._betas
        self._steps += 1
        self._mean = first * self._mean + (1 - first) * gradient
        self._square = second * self._square + (1 - second) * gradient**2
        mean = self._mean / (1 - first**self._steps)
        vector -= self._learning_rate * mean / (np.sqrt(self._square / (1 - second**self._steps)) + self._epsilon)
