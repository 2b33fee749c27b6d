"""Networks of equal shape as one, whose weights are stacked: each layer of all of them is one product of matrices.

Shapes: n members, B rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.types import require_least
from rlkit.networks.torsos import activation_of

Norm = Literal["none", "layer", "batch_renorm", "residual"]
"""Layer normalization before each activation; batch renormalization of the input and after each activation; or residual
blocks of the width of each layer, with layer normalization before and after them."""

Members = slice | Tensor
"""Which members compute: a slice, or their numbers [m] int64."""

ALL = slice(None)


def chosen(stack: Tensor, members: Members) -> Tensor:
    """Return of a stack [n, ...] that of `members`; of all itself, as a slice would copy its gradient."""
    return stack if members is ALL else stack[members]


def whole_precision(device_type: str) -> AbstractContextManager[Any]:
    """Return the context in which products are of the precision of their factors, whatever `torch.autocast` says."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


class StackedLinear(nn.Module):
    """n fully connected layers, with initial weights as in `nn.Linear`.

    Attributes:
        exact: where learning is in mixed precision, this product is in the weights' own.
    """

    def __init__(self, members: int, width_in: int, width_out: int, *, exact: bool = False):
        super().__init__()
        self.exact = exact
        reach = 1 / sqrt(max(1, width_in))
        self.weight = nn.Parameter(torch.empty(members, width_in, width_out).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(members, 1, width_out).uniform_(-reach, reach))

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, out] of [n, B, in], with the layers of `members`."""
        weight, bias = chosen(self.weight, members), chosen(self.bias, members)
        if not self.exact:
            return torch.baddbmm(bias, x, weight)
        with whole_precision(x.device.type):
            return torch.baddbmm(bias, x.to(weight.dtype), weight)


class StackedHead(nn.Module):
    """n fully connected layers with few outputs, in the weights' own precision; initial weights as in `nn.Linear`.

    Products with a matrix of few columns take many times as long as those with its transpose, or one column's sum.
    """

    def __init__(self, members: int, width_in: int, width_out: int):
        super().__init__()
        reach = 1 / sqrt(max(1, width_in))
        self.weight = nn.Parameter(torch.empty(members, width_out, width_in).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(members, width_out, 1).uniform_(-reach, reach))

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, out] of [n, B, in], with the layers of `members`."""
        weight, bias = chosen(self.weight, members), chosen(self.bias, members)
        x = x.to(weight.dtype)
        if weight.shape[1] == 1:
            return (x * weight).sum(2, keepdim=True) + bias
        with whole_precision(x.device.type):
            return torch.baddbmm(bias, weight, x.mT).mT


class StackedLayerNorm(nn.Module):
    """n layer normalizations (Ba et al., 2016)."""

    def __init__(self, members: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, width))
        self.bias = nn.Parameter(torch.zeros(members, 1, width))

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width], each row with mean 0 and variance 1 before its scale."""
        normal = nn.functional.layer_norm(x.to(self.weight.dtype), x.shape[-1:])
        return torch.addcmul(chosen(self.bias, members), normal, chosen(self.weight, members))


class StackedBatchRenorm(nn.Module):
    """n batch renormalizations (Ioffe, 2017), with the constants of CrossQ (Bhatt et al., 2024).

    Statistics are running ones; where they are learned (`batch_statistics`), those of the batch, which the running ones
    follow. After `WARM_UP` batches those are then corrected towards the running ones.

    Attributes:
        learns: the statistics of the batch count, and are learned.
    """

    MOMENTUM, WARM_UP, EPSILON = 0.01, 100_000, 1e-3
    MOST_SCALE, MOST_SHIFT = 3.0, 5.0

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, members: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, width))
        self.bias = nn.Parameter(torch.zeros(members, 1, width))
        self.register_buffer("mean", torch.zeros(members, 1, width))
        self.register_buffer("variance", torch.ones(members, 1, width))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.learns = False

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width], each number with mean 0 and variance 1 before its scale."""
        x = x.to(self.weight.dtype)
        if self.learns:
            normal = self._by_batch(x, members)
        else:
            normal = (x - self.mean[members]) * torch.rsqrt(self.variance[members] + self.EPSILON)
        return torch.addcmul(chosen(self.bias, members), normal, chosen(self.weight, members))

    def _by_batch(self, x: Tensor, members: Members) -> Tensor:
        """Return normalized rows [n, B, width], and let the running statistics follow those of the batch."""
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        scale, shift = self._correction(mean, variance, members)
        return (x - mean) * torch.rsqrt(variance + self.EPSILON) * scale + shift

    @torch.no_grad()
    def _correction(self, mean: Tensor, variance: Tensor, members: Members) -> tuple[Tensor, Tensor]:
        """Return the factor and the shift [n, 1, width] towards the running statistics, which then follow."""
        warm = self.batches >= self.WARM_UP
        std = (self.variance[members] + self.EPSILON).sqrt()
        scale = ((variance + self.EPSILON).sqrt() / std).clamp(1 / self.MOST_SCALE, self.MOST_SCALE).where(warm, 1.0)
        shift = ((mean - self.mean[members]) / std).clamp(-self.MOST_SHIFT, self.MOST_SHIFT).where(warm, 0.0)
        self.mean[members] = self.mean[members].lerp(mean, self.MOMENTUM)
        self.variance[members] = self.variance[members].lerp(variance, self.MOMENTUM)
        self.batches += 1
        return scale, shift


class StackedDropout(nn.Module):
    """Drops a share of the activations at random, and scales up the others (Srivastava et al., 2014).

    Attributes:
        generator: draws which; None: nothing is dropped, as where an agent acts.
    """

    def __init__(self, share: float):
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] with about `share` of its numbers set to 0."""
        if self.generator is None:
            return x
        drawn = torch.rand(x.shape, generator=self.generator, device=x.device)
        return x * (drawn >= self.share).to(x.dtype) / (1 - self.share)


class StackedActivation(nn.Module):
    """One activation for all members."""

    def __init__(self, activation: str):
        super().__init__()
        kind = activation_of(activation)
        # No gradient needs the numbers before a ReLU.
        self.function = nn.ReLU(inplace=True) if kind is nn.ReLU else kind()

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width]."""
        y: Tensor = self.function.forward(x)
        return y


class StackedResidual(nn.Module):
    """n residual blocks of SimBa (Lee et al., 2025): ``x + narrow(activation(wide(norm(x))))``, four times as wide."""

    def __init__(self, members: int, width: int, activation: str, dropout: float):
        super().__init__()
        parts = [StackedLayerNorm(members, width), StackedLinear(members, width, 4 * width)]
        drop = [StackedDropout(dropout)] if dropout else []
        last = StackedLinear(members, 4 * width, width)
        self.layers = nn.ModuleList([*parts, *drop, StackedActivation(activation), last])

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width]."""
        y = x
        for layer in self.layers:
            y = layer.forward(y, members)
        return x + y


class StackedMLP(nn.Module):
    """n networks of fully connected layers, for the same or for different inputs.

    In mixed precision their inputs still count in full: the first layer's product is exact.

    Attributes:
        features: width of the last layer.
    """

    def __init__(
        self,
        members: PositiveInt,
        width_in: int,
        hidden: Sequence[PositiveInt],
        activation: str,
        *,
        norm: Norm = "none",
        dropout: ShareBelowOne = 0.0,
    ):
        """Make the layers.

        Args:
            members: n.
            width_in: of the input.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`, after each layer.
            norm: which normalization.
            dropout: share of each layer's outputs that are dropped, before they are normalized, where a generator is
                given to `draw_from`.

        Raises:
            UsageError: an unknown activation, or a layer of no width.
        """
        super().__init__()
        for width in hidden:
            require_least(1, "network", hidden=width)
        self.layers = nn.ModuleList([StackedBatchRenorm(members, width_in)] if norm == "batch_renorm" else [])
        for width, after in pairwise([width_in, *hidden]):
            self.layers.extend(_layers(members, width, after, activation, norm, dropout))
        first = next((layer for layer in self.modules() if isinstance(layer, StackedLinear)), None)
        if first is not None:
            first.exact = True
        if norm == "residual" and hidden:
            self.layers.append(StackedLayerNorm(members, hidden[-1]))
        self.features = [width_in, *hidden][-1]
        self.members = members

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, features] of inputs [B, in] that all `members` share, or of [n, B, in]."""
        if x.ndim == 2:
            # Expanded, not copied.
            x = x.expand(_count(members, self.members), *x.shape)
        for layer in self.layers:
            x = layer.forward(x, members)
        return x

    def draw_from(self, generator: torch.Generator | None) -> None:
        """Let `generator` decide what is dropped; None: nothing is."""
        for layer in self.modules():
            if isinstance(layer, StackedDropout):
                layer.generator = generator


def _layers(members: int, width: int, after: int, activation: str, norm: Norm, dropout: float) -> Iterator[nn.Module]:
    """Yield what takes inputs of `width` to `after`."""
    if norm == "residual":
        if width != after:
            yield StackedLinear(members, width, after)
        yield StackedResidual(members, after, activation, dropout)
        return
    yield StackedLinear(members, width, after)
    if dropout:
        yield StackedDropout(dropout)
    if norm == "layer":
        yield StackedLayerNorm(members, after)
    yield StackedActivation(activation)
    if norm == "batch_renorm":
        yield StackedBatchRenorm(members, after)


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch renormalizations in `network` compute with the statistics of the batch, and learn them."""
    layers = [layer for layer in network.modules() if isinstance(layer, StackedBatchRenorm)]
    for layer in layers:
        layer.learns = True
    try:
        yield
    finally:
        for layer in layers:
            layer.learns = False


def _count(members: Members, n: int) -> int:
    return len(range(*members.indices(n))) if isinstance(members, slice) else len(members)
