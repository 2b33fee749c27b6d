"""Estimators with one vector of parameters that learn by gradient steps on batches of rows, in epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.resources import require_memory
from rlkit.core.types import Array
from rlkit.learners.estimators.epochs import EarlyStopping, OnEpoch, batches, held_out, report_epoch
from rlkit.learners.estimators.optimizers import SGD, Adam, ParameterOptimizer
from rlkit.learners.estimators.rows import row_weights
from rlkit.learners.estimators.settings import choose, generator, require


class EpochLearner(BaseEstimator):
    """Descends the gradient of the mean cost of rows; a subclass knows what its parameters mean.

    The arguments of training are the subclass's own, as scikit-learn has it: `solver`, `learning_rate`, `momentum`,
    `beta_1`, `beta_2`, `batch_size`, `n_epochs`, `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol` and
    `random_state`.

    Attributes:
        parameters_: [P] float64.
        n_outputs_: K, numbers that are predicted of a row.
        n_iter_: epochs that were run.
        train_cost_: what is minimized, after each epoch and without dropout.
        validation_cost_: the mean cost of the rows held out or given, after each epoch; empty without them.
    """

    solver: str
    learning_rate: PositiveFloat
    momentum: Probability
    beta_1: ShareBelowOne
    beta_2: ShareBelowOne
    batch_size: PositiveInt
    n_epochs: PositiveInt
    early_stopping: bool
    validation_fraction: ShareBelowOne
    n_iter_no_change: PositiveInt
    tol: NonNegativeFloat
    random_state: Any
    parameters_: Array

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
        self._begin(targets)
        if self.early_stopping and watched is None:
            kept, left = held_out(len(targets), self.validation_fraction, self._strata(targets), self._rng)
            watched = x[left], targets[left], weights[left]
            x, targets, weights = x[kept], targets[kept], weights[kept]
        stopping = EarlyStopping(self.n_iter_no_change, self.tol)
        for _ in range(self.n_epochs):
            self._epoch(x, targets, weights)
            if not np.isfinite(self.train_cost_[-1]):
                self._diverged()
                break
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
            self._begin(targets)
        self._epoch(x, targets, weights)
        if not np.isfinite(self.train_cost_[-1]):
            self._diverged()
        return self

    def _optimizer(self) -> ParameterOptimizer:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        for name in self._shares():
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "at least 0 and less than 1")
        rate = float(self.learning_rate)
        made: dict[str, Callable[[], ParameterOptimizer]] = {
            "sgd": lambda: SGD(rate),
            "momentum": lambda: SGD(rate, self.momentum),
            "adam": lambda: Adam(rate, self.beta_1, self.beta_2),
        }
        return choose("solver", self.solver, made)()

    def _shares(self) -> tuple[str, ...]:
        """Return the names of the arguments that are at least 0 and less than 1."""
        return ("momentum", "beta_1", "beta_2")

    def _not_negative(self) -> tuple[str, ...]:
        """Return the names of the arguments that are at least 0."""
        return ("tol",)

    def _begin(self, targets: Array) -> None:
        """Check the arguments, draw parameters, and forget what was learned."""
        for name in ("batch_size", "n_epochs", "n_iter_no_change"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in self._not_negative():
            require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        self.n_outputs_ = targets.shape[-1]
        self._rng, self._descent = generator(self.random_state), self._optimizer()
        size = self._network().size
        # Parameters, their gradient, and two moments of the optimizer.
        require_memory(32 * size, f"a network of {size:,} parameters", f"set {self._too_large()} lower")
        self.parameters_ = self._initial()
        self.n_iter_ = 0
        self.train_cost_: list[float] = []
        self.validation_cost_: list[float] = []

    def _epoch(self, x: Any, y: Array, weights: Array) -> None:
        network, total = self._network(), float(weights.sum())
        for rows in batches(len(y), self.batch_size, self._rng):
            # Rows as their weights count them: a row of weight 2 is two rows of weight 1.
            size = len(rows) * total / len(y)
            found = self._gradient(network, x[rows], y[rows], weights[rows], size, total)
            self._descent.step(self.parameters_, found)
        self.n_iter_ += 1
        self.train_cost_.append(self._mean_cost(x, y, weights) + self._penalty(network, total))

    def _diverged(self) -> None:
        """Raise a SettingError: the cost has grown beyond all numbers."""
        rule = "lower, or the features' scale smaller: the cost grew without bound"
        require(False, "learning_rate", self.learning_rate, rule)

    def _mean_cost(self, x: Any, y: Array, weights: Array) -> float:
        return float(weights @ self._costs(self._network(), x, y) / weights.sum())

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, first: bool = True) -> tuple[Any, Array, Array]:
        """Return rows, targets [n, ..., K] and weights, but no rows of weight 0; `first` learns the targets' kind."""
        x, targets = self._validated(X, y, first)
        weights = row_weights(sample_weight, x.shape[0])
        if weights.all():
            return x, targets, weights
        kept = np.flatnonzero(weights)
        return x[kept], targets[kept], weights[kept]

    def _network(self) -> Any:
        """Return what the parameters mean; its ``size`` is P."""
        raise NotImplementedError

    def _too_large(self) -> str:
        """Return the argument, in braces, of which P depends most."""
        raise NotImplementedError

    def _initial(self) -> Array:
        """Return parameters [P] to begin with, drawn from ``self._rng``."""
        raise NotImplementedError

    def _gradient(self, network: Any, x: Any, y: Array, weights: Array, size: float, total: float) -> Array:
        """Return what a step descends [P].

        Args:
            network: what the parameters mean.
            x: rows of a batch.
            y: their targets.
            weights: [B].
            size: rows of the batch, as their weights count them.
            total: rows of the data, as their weights count them.
        """
        raise NotImplementedError

    def _costs(self, network: Any, x: Any, y: Array) -> Array:
        """Return the cost of each row [n]."""
        raise NotImplementedError

    def _penalty(self, network: Any, total: float) -> float:
        """Return what is minimized beside the mean cost of `total` rows."""
        return 0.0

    def _validated(self, X: Any, y: Any, first: bool) -> tuple[Any, Array]:
        """Return rows as floats, dense or as CSR, and targets [n, ..., K]."""
        raise NotImplementedError

    def _strata(self, targets: Array) -> Array | None:
        """Return what is held out of alike [n], or None."""
        raise NotImplementedError
