"""A copy of a network that follows it slowly (torch)."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from rlkit.networks import FlatParameters, Optimizer, trainable


class TargetNetwork:
    """A copy without gradients, whose parameters are one vector.

    Attributes:
        module: the copy.
    """

    def __init__(self, module: nn.Module):
        """Copy `module` as it is."""
        self.module: Any = copy.deepcopy(module)
        self._flat = FlatParameters(trainable(self.module.parameters()))
        self.module.requires_grad_(False)

    def follow(self, optimizer: Optimizer, tau: float) -> None:
        """Move towards the parameters of `optimizer`, those of the module copied, by the share `tau`."""
        self._flat.move_towards(optimizer.vector, tau)
