"""What critics that disagree say together, and the losses that they learn by (torch).

Shapes: n critics, m of them, B rows, C candidates for an action, K outputs of a critic, J numbers in a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rlkit.core.types import UsageError
from rlkit.networks.return_distributions import Distribution, Expected, Quantile, quantile_huber_loss
from rlkit.networks.stacked import ALL


class Values(Protocol):
    """How the outputs of several critics become targets, values and losses."""

    def target(self, outputs: Tensor) -> Tensor:
        """Return pessimistic returns [B, C, J] of the outputs [m, B, C, K] of target critics."""

    def value(self, outputs: Tensor) -> Tensor:
        """Return the values [B, C] that an actor climbs, of outputs [n, B, C, K]."""

    def loss(self, q_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss [B], summed over critics, and the absolute error [B], a mean of theirs.

        Args:
            q_tm1: [n, B, K] outputs for the actions taken.
            target: [B, J] without gradient.
        """


@dataclass(frozen=True)
class Expectations:
    """Expected returns, by squared errors; targets are the least of all critics (Fujimoto et al., 2018).

    Attributes:
        average: actors climb the mean of all critics, as in REDQ (Chen et al., 2021), not the least.
    """

    average: bool

    def target(self, outputs: Tensor) -> Tensor:
        """Return the least values [B, C, 1]."""
        return outputs.amin(0)

    def value(self, outputs: Tensor) -> Tensor:
        """Return the least or the mean values [B, C]."""
        values = outputs.squeeze(3)
        return values.mean(0) if self.average else values.amin(0)

    def loss(self, q_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return half the squared error [B]."""
        error = q_tm1.squeeze(2) - target.squeeze(1)
        return 0.5 * error.square().sum(0), error.detach().abs().mean(0)


@dataclass(frozen=True)
class TruncatedQuantiles:
    """Quantiles of returns: a target is the mixture of all critics without its top (TQC, Kuznetsov et al., 2020).

    Attributes:
        drop: how many of the highest quantiles are left out for each critic.
    """

    drop: int

    def target(self, outputs: Tensor) -> Tensor:
        """Return the lowest ``m * (K - drop)`` quantiles [B, C, J] of all m critics, in order."""
        pooled = outputs.movedim(0, 2).flatten(2)
        kept = pooled.shape[2] - self.drop * len(outputs)
        return pooled.sort(2).values[:, :, :kept]

    def value(self, outputs: Tensor) -> Tensor:
        """Return the mean values [B, C] of all quantiles."""
        return outputs.mean((0, 3))

    def loss(self, q_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantile Huber loss [B], averaged over quantiles."""
        n, rows, quantiles = q_tm1.shape
        outcome = target.expand(n, *target.shape).flatten(0, 1)
        losses = quantile_huber_loss(q_tm1.flatten(0, 1), outcome).view(n, rows) / quantiles
        return losses.sum(0), (q_tm1.detach().mean(2) - target.mean(1)).abs().mean(0)


def values_of(distribution: Distribution, *, count: int, subset: int | None, drop: int, candidates: bool) -> Values:
    """Return how critics with outputs of `distribution` are read.

    Args:
        distribution: of `count` critics.
        count: n.
        subset: m, how many of them targets are of; None: all.
        drop: highest quantiles of each that are left out.
        candidates: every discrete action is one.

    Raises:
        UsageError: there is none for this distribution, or a number does not fit.
    """
    if subset is not None and subset > count:
        raise UsageError(f"agent.subset is {subset}; it must be at most agent.critics.count={count}")
    if isinstance(distribution, Expected):
        if drop:
            raise UsageError(f"agent.drop is {drop}, but expected returns have no quantiles; set distribution=quantile")
        return Expectations(average=subset is not None)
    if not isinstance(distribution, Quantile) or candidates:
        raise UsageError("critics learn expected returns or, of Box actions, quantiles; set distribution=expected")
    if drop >= distribution.quantiles:
        raise UsageError(f"agent.drop is {drop}; it must be less than distribution.quantiles={distribution.quantiles}")
    return TruncatedQuantiles(drop)


def some(count: int, subset: int | None, generator: torch.Generator | None, device: str) -> slice | Tensor:
    """Return which of `count` critics a target is of: the numbers [m] int64 of `subset` at random, or all."""
    if subset is None or subset == count:
        return ALL
    return torch.randperm(count, generator=generator, device=device)[:subset]
