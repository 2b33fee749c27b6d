"""Parameters as one vector, and steps down a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from rlkit.core import State, UsageError, require_least, require_positive
from rlkit.explore import Schedule
from rlkit.networks.encoders import trainable
from rlkit.networks.states import load_optimizer_state, optimizer_state


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

    def clip_grad_norm(self, max_norm: float) -> None:
        """Scale the gradient down to `max_norm` where it is longer (Pascanu et al., 2013)."""
        assert self.vector.grad is not None
        norm = self.vector.grad.norm()
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
        max_grad_norm: float,
    ):
        """Move the parameters that are not frozen into one vector; `optimizer` is called with it and ``lr``.

        Raises:
            UsageError: the optimiser has a rate of its own, which would not count; a rate or norm that cannot be.
        """
        if "lr" in getattr(optimizer, "keywords", {}):
            raise UsageError("the optimiser's lr is not used; give agent.learning_rate, a number or a schedule")
        require_least(0, "agent", learning_rate=learning_rate(0))
        require_positive("agent", max_grad_norm=max_grad_norm)
        self._flat = FlatParameters(trainable(parameters))
        self._optimizer = optimizer([self._flat.vector], lr=learning_rate(0))
        self._learning_rate, self._max_grad_norm = learning_rate, max_grad_norm

    def __call__(self, loss: Tensor, steps: int) -> None:
        """Step down the gradient of `loss`, at the rate of `steps` decisions."""
        self._flat.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._step(steps)

    def along(self, gradient: Tensor, steps: int, weight_decay: float) -> None:
        """Step down a gradient [P] that was found otherwise, and shrink the parameters by a share of the rate."""
        assert self._flat.vector.grad is not None
        self._flat.vector.grad.copy_(gradient)
        self.vector.mul_(1 - self._learning_rate(steps) * weight_decay)
        self._step(steps)

    @property
    def vector(self) -> Tensor:
        """All of them [P], without gradient."""
        return self._flat.vector.data

    def _step(self, steps: int) -> None:
        self._flat.clip_grad_norm(self._max_grad_norm)
        self._optimizer.param_groups[0]["lr"] = self._learning_rate(steps)
        self._optimizer.step()

    def state_dict(self) -> State:
        """Return the optimiser's state; the parameters are their module's to keep."""
        return optimizer_state(self._optimizer)

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        load_optimizer_state(self._optimizer, state)


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
    return part.view(*part.shape[:-1], *shape)
