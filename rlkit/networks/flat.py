"""All parameters of a module as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatParameters:
    """All parameters of a module, and their gradients, as one vector each.

    The module's own parameters become views of it, so that an optimiser step, a clipped norm or a target update is one
    operation instead of one for each layer: on small networks those calls are most of an update. The weights of
    convolutions lie in channels-last order, in which they run without being reordered.

    Attributes:
        vector: [P] leaf tensor with its gradient in place.
    """

    def __init__(self, module: nn.Module):
        """Move the parameters of `module`, all of one dtype and device, into one vector."""
        parameters = list(module.parameters())
        self.vector = nn.Parameter(torch.cat([_laid_out(parameter.detach()).flatten() for parameter in parameters]))
        self.vector.grad = torch.zeros_like(self.vector)
        start = 0
        for parameter in parameters:
            stop = start + parameter.numel()
            shape = parameter.shape
            parameter.data = _view(self.vector.data[start:stop], shape)
            # Autograd adds to a gradient that is there already, in place: into the vector.
            parameter.grad = _view(self.vector.grad[start:stop], shape)
            start = stop

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        assert self.vector.grad is not None
        self.vector.grad.zero_()

    def clip_grad_norm(self, max_norm: float) -> None:
        """Scale the gradient down to `max_norm` where it is longer (Pascanu et al., 2013)."""
        assert self.vector.grad is not None
        norm = self.vector.grad.norm()
        if norm.is_cuda:
            # Without waiting for the norm.
            self.vector.grad.mul_((max_norm / norm).clamp(max=1.0))
        elif norm > max_norm:
            self.vector.grad.mul_(max_norm / norm)

    def follow(self, other: FlatParameters, tau: float) -> None:
        """Move towards `other` by the share `tau`; 1 copies."""
        self.vector.data.lerp_(other.vector.data, tau)


def _laid_out(parameter: Tensor) -> Tensor:
    """Return a parameter with its axes in the order in which they lie in the vector."""
    return parameter.permute(0, 2, 3, 1) if parameter.ndim == 4 else parameter


def _view(part: Tensor, shape: torch.Size) -> Tensor:
    """Return a part of the vector as a parameter of `shape`."""
    if len(shape) == 4:
        out, channels, height, width = shape
        return part.view(out, height, width, channels).permute(0, 3, 1, 2)
    return part.view(shape)
