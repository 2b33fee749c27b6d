"""Numbers as distributions over a support of transformed values (torch).

Sources: Pohlen et al. (2018) for the transformation, Schrittwieser et al. (2020), appendix F, for what is made of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 0.001
"""What keeps the transformation's inverse steep at most so much."""


def transformed(x: Tensor) -> Tensor:
    """Return h(x) = sign(x)(sqrt(|x| + 1) - 1) + 0.001 x of `x` [...], which brings large numbers near each other."""
    return x.sign() * ((x.abs() + 1).sqrt() - 1) + EPSILON * x


def restored(y: Tensor) -> Tensor:
    """Return the x [...] of which `y` [...] is h(x)."""
    root = (1 + 4 * EPSILON * (y.abs() + 1 + EPSILON)).sqrt()
    return y.sign() * (((root - 1) / (2 * EPSILON)) ** 2 - 1)


class Support(nn.Module):
    """Evenly spaced transformed values from -limit to limit.

    Attributes:
        atoms: [M] float32.
    """

    atoms: Tensor

    def __init__(self, limit: float, count: int):
        """Space `count` atoms, M, evenly."""
        super().__init__()
        self.register_buffer("atoms", torch.linspace(-limit, limit, count), persistent=False)

    def two_hot(self, x: Tensor) -> Tensor:
        """Return the distributions [..., M] on the two atoms beside each of `x` [...] whose mean is h(x).

        What is beyond the support is moved to its ends.
        """
        place = (transformed(x) - self.atoms[0]) / (self.atoms[1] - self.atoms[0])
        place = place.clamp(0, len(self.atoms) - 1).unsqueeze(-1)
        return (1 - (place - torch.arange(len(self.atoms), device=x.device)).abs()).clamp(min=0)

    def mean(self, logits: Tensor) -> Tensor:
        """Return the numbers [...] that logits [..., M] stand for."""
        return restored((logits.softmax(-1) * self.atoms).sum(-1))
