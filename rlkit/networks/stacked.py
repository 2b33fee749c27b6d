"""Networks of equal shape as one, whose weights are stacked: each layer of all of them is one product of matrices.

Shapes: n members, B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.types import require_least
from rlkit.networks.torsos import activation_of

Members = slice | Tensor
"""Which members compute: a slice, or their numbers [m] int64."""

ALL = slice(None)


class StackedLinear(nn.Module):
    """n fully connected layers, with initial weights as in `nn.Linear`."""

    def __init__(self, members: int, width_in: int, width_out: int):
        super().__init__()
        reach = 1 / sqrt(max(1, width_in))
        self.weight = nn.Parameter(torch.empty(members, width_in, width_out).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(members, 1, width_out).uniform_(-reach, reach))

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, out] of [n, B, in], with the layers of `members`."""
        return torch.baddbmm(self.bias[members], x, self.weight[members])


class StackedLayerNorm(nn.Module):
    """n layer normalizations (Ba et al., 2016)."""

    def __init__(self, members: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, width))
        self.bias = nn.Parameter(torch.zeros(members, 1, width))

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width], each row with mean 0 and variance 1 before its scale."""
        normal = nn.functional.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias[members], normal, self.weight[members])


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
        self.function = activation_of(activation)()

    def forward(self, x: Tensor, members: Members = ALL) -> Tensor:
        """Return [n, B, width] of [n, B, width]."""
        y: Tensor = self.function.forward(x)
        return y


class StackedMLP(nn.Module):
    """n networks of fully connected layers, for the same or for different inputs.

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
        layer_norm: bool = False,
        dropout: ShareBelowOne = 0.0,
    ):
        """Make the layers.

        Args:
            members: n.
            width_in: of the input.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`, after each layer.
            layer_norm: normalize before each activation.
            dropout: share of each layer's outputs that are dropped, before they are normalized, where a generator is
                given to `draw_from`.

        Raises:
            UsageError: an unknown activation, or a layer of no width.
        """
        super().__init__()
        for width in hidden:
            require_least(1, "network", hidden=width)
        self.layers = nn.ModuleList()
        for width, after in pairwise([width_in, *hidden]):
            self.layers.append(StackedLinear(members, width, after))
            self.layers.extend([StackedDropout(dropout)] if dropout else [])
            self.layers.extend([StackedLayerNorm(members, after)] if layer_norm else [])
            self.layers.append(StackedActivation(activation))
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
        for layer in self.layers:
            if isinstance(layer, StackedDropout):
                layer.generator = generator


def _count(members: Members, n: int) -> int:
    return len(range(*members.indices(n))) if isinstance(members, slice) else len(members)
