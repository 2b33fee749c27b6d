"""Noise that is a function of the state (generalized state-dependent exploration, Raffin et al., 2021; torch).

Shapes: B rows, F features, D numbers in an action.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.core.types import Array
from rlkit.networks.stacked import StackedHead, whole_precision


class StateDependentHead(nn.Module):
    """Means, and deviations of noise that is a random linear function of the features.

    The function is a matrix [F, D] of normal numbers. While one matrix is held, equal states have equal noise, so that
    motion stays smooth; over all matrices the noise of a state is normal, with the deviation that `forward` returns.

    Attributes:
        log_std: [F, D] logarithms of the deviations of the matrix's numbers.
    """

    MOST_MEAN, EPSILON = 2.0, 1e-6

    def __init__(self, width_in: int, width: int, log_std: float):
        """Make a head for features of `width_in` and actions of `width` numbers; `log_std` is the initial one."""
        super().__init__()
        self.mean = StackedHead(1, width_in, width)
        self.log_std = nn.Parameter(torch.full((width_in, width), float(log_std)))

    def forward(self, x: Tensor) -> Tensor:
        """Return means and logarithms of deviations [1, B, 2 D] for features [1, B, F]."""
        mean = self.mean.forward(x).clamp(-self.MOST_MEAN, self.MOST_MEAN)
        return torch.cat((mean, self._variance(x).log() / 2), 2)

    def _variance(self, x: Tensor) -> Tensor:
        """Return the variance [1, B, D] of the noise over all matrices."""
        with whole_precision(x.device.type):
            return x.to(self.log_std.dtype).square() @ (2 * self.log_std).exp() + self.EPSILON

    def standardized(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return, in standard deviations, the noise [B, D] of features [1, B, F] by standard normal `noise` [B, F, D].

        Each row has a matrix of its own.
        """
        product: Tensor = torch.bmm(x.movedim(0, 1), self.log_std.exp() * noise).squeeze(1)
        return product / self._variance(x).squeeze(0).sqrt()

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw standard normal numbers [n, F, D] float32."""
        return rng.standard_normal((n, *self.log_std.shape), np.float32)
