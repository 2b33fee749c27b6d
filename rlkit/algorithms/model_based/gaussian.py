"""Learning an ensemble of Gaussian models from all transitions (torch).

Source: Janner et al. (2019), appendix C; each member sees the rows in an order of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.core.types import Array, Batch, Metrics, State
from rlkit.networks import Optimizer
from rlkit.networks.ensemble import GaussianEnsemble

BOUNDS_WEIGHT = 0.01
"""Of the sum of the bounds of variances, which are so drawn together."""

LEAST_GAIN = 0.01
"""Part of a member's hold-out error by which it has to fall for an epoch to count as better."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How long an ensemble learns.

    Attributes:
        batch_size: rows of a minibatch, of each member.
        epochs: at most, in one fit.
        patience: epochs without a better member after which a fit ends.
        holdout: share of the rows that are kept apart to compare members, at most 5,000 rows.
    """

    batch_size: int
    epochs: int
    patience: int
    holdout: float


def rows_of(batch: Batch) -> tuple[Array, Array, Array]:
    """Return inputs [M, D + A], targets [M, D + 1] and ends [M] float32 of transitions."""
    observation, action, successor = (np.asarray(column) for column in batch[:2] + batch[4:5])
    inputs = np.concatenate([observation, action], axis=1).astype(np.float32)
    change = successor.astype(np.float64) - observation
    targets = np.concatenate([change, np.asarray(batch.reward)[:, None]], axis=1).astype(np.float32)
    return inputs, targets, (np.asarray(batch.discount) == 0).astype(np.float32)


class EnsembleLearner:
    """Fits an ensemble, and picks its elites."""

    def __init__(self, ensemble: GaussianEnsemble, optimizer: Optimizer, settings: FitSettings, device: str):
        """Take the parts; `optimizer` is one of the ensemble's parameters."""
        self._ensemble, self._optimizer, self._settings, self._device = ensemble, optimizer, settings, device

    def fit(self, batch: Batch, decisions: int, rng: np.random.Generator) -> Metrics:
        """Fit to all rows of a batch, and return errors of the hold-out rows and the number of epochs.

        Each member ends as it was when its hold-out error was least.

        Args:
            batch: at least two transitions.
            decisions: at whose learning rate.
            rng: draws which rows are kept apart, and the order of the others.
        """
        inputs, targets, ended = (torch.tensor(column, device=self._device) for column in rows_of(batch))
        order = torch.as_tensor(rng.permutation(len(inputs)), device=self._device)
        apart = min(5000, max(1, round(self._settings.holdout * len(inputs))))
        kept, held = order[apart:], order[:apart]
        ensemble = self._ensemble
        ensemble.standardize_by(inputs[kept], targets[kept])
        targets = (targets - ensemble.target_mean) / ensemble.target_std
        whole = (inputs, targets, ended)
        best, errors = self._copied(), self._errors(whole, held)
        since = epoch = 0
        while epoch < self._settings.epochs and since < self._settings.patience:
            self._epoch(whole, kept, decisions, rng)
            now, epoch = self._errors(whole, held), epoch + 1
            better = now < errors * (1 - LEAST_GAIN)
            since = 0 if better.any() else since + 1
            errors = torch.where(better, now, errors)
            self._copy(better, source=dict(ensemble.named_parameters()), target=best)
        everyone = torch.ones(ensemble.members, dtype=torch.bool, device=self._device)
        self._copy(everyone, source=best, target=dict(ensemble.named_parameters()))
        ensemble.elite.copy_(errors.argsort(stable=True)[: len(ensemble.elite)].sort().values)
        return {"model/error": errors[ensemble.elite].mean().item(), "model/epochs": float(epoch)}

    def _epoch(self, whole: tuple[Tensor, ...], kept: Tensor, decisions: int, rng: np.random.Generator) -> None:
        """Show each member all rows once, in an order of its own."""
        ensemble, size = self._ensemble, self._settings.batch_size
        orders = np.stack([rng.permutation(len(kept)) for _ in range(ensemble.members)])
        order = kept[torch.as_tensor(orders, device=self._device)]
        for start in range(0, order.shape[1], size):
            inputs, targets, ended = (column[order[:, start : start + size]] for column in whole)
            loss = ensemble.loss(ensemble(inputs), targets, ended).sum()
            self._optimizer.step(loss + BOUNDS_WEIGHT * (ensemble.most - ensemble.least).sum(), decisions)

    @torch.no_grad()
    def _errors(self, whole: tuple[Tensor, ...], held: Tensor) -> Tensor:
        """Return each member's mean squared error of the standardized hold-out targets, [n]."""
        inputs, targets, _ = (column[held] for column in whole)
        errors: Tensor = (self._ensemble(inputs).mean - targets).square().mean((1, 2))
        return errors

    def _copied(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._ensemble.named_parameters()}

    @torch.no_grad()
    def _copy(self, members: Tensor, *, source: Any, target: Any) -> None:
        """Copy what belongs to the `members` [n] bool; the bounds, which belong to all, stay."""
        for name, parameter in target.items():
            if parameter.ndim == 3:
                parameter[members] = source[name][members]

    def state_dict(self) -> State:
        """Return the optimizer's state."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._optimizer.load_state_dict(state)
