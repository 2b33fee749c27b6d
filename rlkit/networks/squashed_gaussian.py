"""Normal numbers squashed into (-1, 1) by tanh (Haarnoja et al., 2018), as pure functions (torch).

Shapes: B rows, D numbers.
"""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor
from torch.nn.functional import softplus


def squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return actions [B, D] in (-1, 1), and the logarithm [B, D] of the density of each of their numbers.

    Args:
        mean: [B, D] of the normal numbers.
        log_std: [B, D] logarithms of their standard deviations.
        noise: [B, D] standard normal numbers.
    """
    number = torch.addcmul(mean, log_std.exp(), noise)
    normal = -0.5 * noise.square() - log_std - 0.5 * log(2 * pi)
    return number.tanh(), normal - log_slope(number)


def log_normal(number: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the logarithm [B, D] of the density of normal numbers [B, D], by means and deviations [B, D]."""
    return -0.5 * ((number - mean) / log_std.exp()).square() - log_std - 0.5 * log(2 * pi)


def log_slope(number: Tensor) -> Tensor:
    """Return ``log(1 - tanh(number)^2)`` [...], also where it is far below the least number of the dtype."""
    return 2 * (log(2) - number - softplus(-2 * number))
