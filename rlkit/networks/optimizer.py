"""Parameters as one vector, and steps down a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

import torch
from torch import Tensor, nn

from rlkit.core.schedules import Schedule
from rlkit.core.types import State, UsageError, require_least, require_positive
from rlkit.networks.pretrained import trainable
from rlkit.networks.tensors import load_optimizer_state, optimizer_state


class FlatParameters:
    """Parameters, such as all of a module, and their gradients, as one vector each.

    The parameters themselves become views of it, so that an optimiser step, a clipped norm or a target update is one
    operation instead of one for each layer: on small networks those calls are most of an update. The weights of
    convolutions lie in channels-last order, in which they run without being reordered.

    Attributes:
        vector: [P] leaf tensor with its gradient in place.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        """Move `parameters`, all of one dtype and device, into one vector."""
        parameters = list(parameters)
        self.vector = nn.Parameter(torch.cat([_laid_out(parameter.detach()).flatten() for parameter in parameters]))
        self.vector.grad = torch.zeros_like(self.vector)
        shapes = [parameter.shape for parameter in parameters]
        parts, gradients = views(self.vector.data, shapes), views(self.vector.grad, shapes)
        for parameter, part, gradient in zip(parameters, parts, gradients, strict=True):
            parameter.data = part
            # Autograd adds to a gradient that is there already, in place: into the vector.
            parameter.grad = gradient

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        assert self.vector.grad is not None
        self.vector.grad.zero_()

    def grad_norm(self) -> Tensor:
        """Return the length of the gradient."""
        assert self.vector.grad is not None
        norm: Tensor = self.vector.grad.norm()
        return norm

    def clip_grad_norm(self, max_norm: float, norm: Tensor | None = None) -> None:
        """Scale the gradient down where it is longer than `max_norm` (Pascanu et al., 2013).

        `norm` takes the place of its own length: that of a longer one which it is a part of.
        """
        assert self.vector.grad is not None
        norm = self.grad_norm() if norm is None else norm
        if norm.is_cuda:
            # Without waiting for the norm.
            self.vector.grad.mul_((max_norm / norm).clamp(max=1.0))
        elif norm > max_norm:
            self.vector.grad.mul_(max_norm / norm)

    def follow(self, vector: Tensor, tau: float) -> None:
        """Move towards another such vector [P] by the share `tau`; 1 copies."""
        self.vector.data.lerp_(vector, tau)


class Descent:
    """Steps of an optimiser on some parameters, at a rate that follows a schedule."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: Schedule,
        max_grad_norm: float | None,
    ):
        """Move the parameters that are not frozen into one vector; `optimizer` is called with it and ``lr``.

        Without a `max_grad_norm` gradients are as long as they are.

        Raises:
            UsageError: the optimiser has a rate of its own, which would not count; a rate or norm that cannot be.
        """
        if "lr" in getattr(optimizer, "keywords", {}):
            raise UsageError("the optimiser's lr is not used; give agent.learning_rate, a number or a schedule")
        require_least(0, "agent", learning_rate=learning_rate(0))
        require_positive("agent", max_grad_norm=max_grad_norm)
        self._flat = FlatParameters(trainable(parameters))
        self._optimizer = optimizer([self._flat.vector], lr=learning_rate(0))
        self._learning_rate, self._max_grad_norm = learning_rate, inf if max_grad_norm is None else max_grad_norm

    def __call__(self, loss: Tensor, steps: int) -> None:
        """Step down the gradient of `loss`, at the rate of `steps` decisions."""
        descend(loss, [self], steps)

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        self._flat.zero_grad()

    def grad_norm(self) -> Tensor:
        """Return the length of the gradient that was computed."""
        return self._flat.grad_norm()

    def step(self, steps: int, norm: Tensor, scale: float = 1.0) -> None:
        """Step down the gradient that was computed, at the rate of `steps` decisions.

        Args:
            steps: decisions.
            norm: the length that is limited: the gradient's, or that of one which it is a part of.
            scale: it is multiplied by that once it is clipped: the limit is for a mean, where the step takes a sum.
        """
        self._flat.clip_grad_norm(self._max_grad_norm, norm)
        if scale != 1:
            assert self._flat.vector.grad is not None
            self._flat.vector.grad.mul_(scale)
        self._optimizer.param_groups[0]["lr"] = self._learning_rate(steps)
        self._optimizer.step()

    def along(self, gradient: Tensor, steps: int, weight_decay: float) -> None:
        """Step down a gradient [P] that was found otherwise, and shrink the parameters by a share of the rate."""
        assert self._flat.vector.grad is not None
        self._flat.vector.grad.copy_(gradient)
        self.vector.mul_(1 - self._learning_rate(steps) * weight_decay)
        self.step(steps, self.grad_norm())

    @property
    def vector(self) -> Tensor:
        """All of them [P], without gradient."""
        return self._flat.vector.data

    def state_dict(self) -> State:
        """Return the optimiser's state; the parameters are their module's to keep."""
        return optimizer_state(self._optimizer)

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        load_optimizer_state(self._optimizer, state)


def descend(loss: Tensor, descents: Iterable[Descent], steps: int, scale: float = 1.0) -> None:
    """Step down the gradient of one loss with some descents, clipped as one; `scale` is as in `Descent.step`."""
    descents = list(descents)
    for descent in descents:
        descent.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norms = [descent.grad_norm() for descent in descents]
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    for descent in descents:
        descent.step(steps, norm, scale)


def views(vectors: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Return vectors [..., P] as parameters [..., *shape] that share their memory, laid out as in `FlatParameters`."""
    parts = torch.split(vectors, [shape.numel() for shape in shapes], -1)
    return [_view(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def _laid_out(parameter: Tensor) -> Tensor:
    """Return a parameter with its axes in the order in which they lie in the vector."""
    return parameter.permute(0, 2, 3, 1) if parameter.ndim == 4 else parameter


def _view(part: Tensor, shape: torch.Size) -> Tensor:
    """Return parts of vectors [..., size] as parameters [..., *shape]."""
    if len(shape) == 4:
        out, channels, height, width = shape
        return part.view(*part.shape[:-1], out, height, width, channels).movedim(-1, -3)
    return part.view((*part.shape[:-1], *shape))
