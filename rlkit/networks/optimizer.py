"""Parameters as one vector, and an optimizer's steps down a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from rlkit.config.values import check_fields
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat
from rlkit.core.ranks import Ranks
from rlkit.core.schedules import RateSchedule, Schedule, annealed
from rlkit.core.types import State, UsageError
from rlkit.networks.tensors import load_optimizer_state, optimizer_state


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Which optimizer moves an agent's parameters, and how fast.

    Attributes:
        optimizer: called with the parameters and ``lr``: a class of `torch.optim`, or a `functools.partial` of one.
        learning_rate: a number, or a schedule by the number of decisions observed.
        anneal: the number falls in a straight line to 0 at the run's `total_steps`.

    Raises:
        UsageError: a number out of its range, a rate that cannot be annealed, or an optimizer with its own ``lr``.
    """

    optimizer: Callable[..., torch.optim.Optimizer]
    learning_rate: NonNegativeFloat | RateSchedule
    anneal: bool

    def __post_init__(self) -> None:
        if "lr" in getattr(self.optimizer, "keywords", {}):
            raise UsageError("the optimizer's lr is not used; give agent.learning_rate, a number or a schedule")
        check_fields(self, "agent")
        annealed(self.learning_rate, anneal=self.anneal, total_steps=1)

    def schedule(self, total_steps: int | None) -> Schedule:
        """Return the learning rate by the number of decisions, of a run of `total_steps`.

        Raises:
            UsageError: the rate is annealed, and `total_steps` is None.
        """
        return annealed(self.learning_rate, anneal=self.anneal, total_steps=total_steps)


@dataclass(frozen=True, kw_only=True)
class GradientSettings(OptimizerSettings):
    """Settings of an optimizer that follows the gradient of a loss.

    Attributes:
        max_grad_norm: gradients are scaled down to this norm (Pascanu et al., 2013); None: never.
    """

    max_grad_norm: PositiveFloat | None


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in parameters if parameter.requires_grad]


class FlatParameters:
    """Parameters, such as all of a module, and their gradients, as one vector each.

    The parameters themselves become views of it, so that an optimizer's step, a clipped norm or a target update is one
    operation instead of one for each layer: with small networks those calls are most of an update. The weights of
    convolutions are in channels-last order, so that they need not be reordered.

    Attributes:
        vector: [P] leaf tensor with its gradient in place.
        gradient: [P] that gradient.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        """Move `parameters`, all of one dtype and device, into one vector."""
        parameters = list(parameters)
        self.vector = nn.Parameter(torch.cat([_laid_out(parameter.detach()).flatten() for parameter in parameters]))
        self.vector.grad = self.gradient = torch.zeros_like(self.vector)
        shapes = [parameter.shape for parameter in parameters]
        parts, gradients = views(self.vector.data, shapes), views(self.gradient, shapes)
        for parameter, part, gradient in zip(parameters, parts, gradients, strict=True):
            parameter.data = part
            # Autograd adds to a gradient that is there already, in place: into the vector.
            parameter.grad = gradient

    def move_towards(self, vector: Tensor, tau: float) -> None:
        """Move towards another such vector [P] by the fraction `tau` (Polyak averaging); 1 copies it."""
        self.vector.data.lerp_(vector, tau)


class Optimizer:
    """An optimizer of torch on parameters in one vector, at a rate that follows a schedule."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: Schedule,
        max_grad_norm: float | None = None,
    ):
        """Move the parameters that are not frozen into one vector and make the optimizer for it.

        Args:
            parameters: of a module; those that are frozen are left out.
            optimizer: as in `OptimizerSettings`.
            learning_rate: by the number of decisions.
            max_grad_norm: as in `GradientSettings`.

        Raises:
            UsageError: the optimizer does not accept its options.
        """
        self._flat = FlatParameters(trainable(parameters))
        try:
            self._optimizer = optimizer([self._flat.vector], lr=learning_rate(0))
        except (ValueError, TypeError) as error:
            name = getattr(optimizer, "func", optimizer).__name__
            raise UsageError(f"agent.optimizer: {name} does not accept its options: {error}") from error
        self._learning_rate = learning_rate
        self._max_grad_norm = inf if max_grad_norm is None else max_grad_norm
        self._average: Callable[[Tensor], None] | None = None

    @property
    def vector(self) -> Tensor:
        """All of the parameters [P], without gradient."""
        return self._flat.vector.data

    @property
    def gradient(self) -> Tensor:
        """Their gradient [P], in place."""
        return self._flat.gradient

    @property
    def limits_norm(self) -> bool:
        """Whether the gradient's norm is limited."""
        return self._max_grad_norm < inf

    def join_ranks(self, ranks: Ranks) -> None:
        """Step down the mean of the gradients of all `ranks` from now on, before its norm is limited."""
        self._average = ranks.average

    def step(self, loss: Tensor, decisions: int) -> None:
        """Step down the gradient of `loss` [], at the rate after `decisions` decisions."""
        gradient = self._flat.gradient
        gradient.zero_()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._average is not None:
            self._average(gradient)
        self.apply(gradient.norm(), decisions)

    def step_along(self, gradient: Tensor, decisions: int, weight_decay: float) -> None:
        """Step down an estimated `gradient` [P], after shrinking the parameters by the rate times `weight_decay`."""
        self._flat.gradient.copy_(gradient)
        self.vector.mul_(1 - self._learning_rate(decisions) * weight_decay)
        self.apply(self._flat.gradient.norm(), decisions)

    def average(self) -> None:
        """Replace the gradient by the mean over the ranks, where there are any."""
        if self._average is not None:
            self._average(self._flat.gradient)

    def apply(self, norm: Tensor, decisions: int, scale: float = 1.0) -> None:
        """Step down the gradient in `gradient`, clipped.

        Args:
            norm: [] the norm to limit: the gradient's own, or that of a longer gradient which it is a part of.
            decisions: at whose learning rate.
            scale: factor of the clipped gradient, for a loss that is a mean where the step needs a sum.
        """
        gradient = self._flat.gradient
        if norm.is_cuda:
            # Does not wait for the norm.
            gradient.mul_((self._max_grad_norm / norm).clamp(max=1.0))
        elif norm > self._max_grad_norm:
            gradient.mul_(self._max_grad_norm / norm)
        if scale != 1:
            gradient.mul_(scale)
        self._optimizer.param_groups[0]["lr"] = self._learning_rate(decisions)
        self._optimizer.step()

    def state_dict(self) -> State:
        """Return the optimizer's state, without the parameters, which are in their module's state."""
        return optimizer_state(self._optimizer)

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_optimizer_state(self._optimizer, state)


def step_together(loss: Tensor, optimizers: Iterable[Optimizer], decisions: int, scale: float = 1.0) -> None:
    """Step down the gradient of one loss with several optimizers, clipped as one.

    Args:
        loss: [] a function of all their parameters.
        optimizers: each of other parameters.
        decisions: at whose learning rates.
        scale: as in `Optimizer.apply`.
    """
    optimizers = list(optimizers)
    for optimizer in optimizers:
        optimizer.gradient.zero_()
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.average()
    norm = _joint_norm(optimizers)
    for optimizer in optimizers:
        optimizer.apply(norm, decisions, scale)


def _joint_norm(optimizers: Sequence[Optimizer]) -> Tensor:
    """Return the norm [] of all gradients as one; 0 where none of the optimizers limits it."""
    if not any(optimizer.limits_norm for optimizer in optimizers):
        return torch.zeros(())
    norms = [optimizer.gradient.norm() for optimizer in optimizers]
    norm: Tensor = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    return norm


def views(vectors: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Return vectors [..., P] as parameters [..., *shape] that share their memory, laid out as in `FlatParameters`."""
    parts = torch.split(vectors, [shape.numel() for shape in shapes], -1)
    return [_view(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def _laid_out(parameter: Tensor) -> Tensor:
    """Return a parameter with its axes in their order in the vector."""
    return parameter.permute(0, 2, 3, 1) if parameter.ndim == 4 else parameter


def _view(part: Tensor, shape: torch.Size) -> Tensor:
    """Return parts of vectors [..., size] as parameters [..., *shape]."""
    if len(shape) == 4:
        out, channels, height, width = shape
        return part.view(*part.shape[:-1], out, height, width, channels).movedim(-1, -3)
    return part.view((*part.shape[:-1], *shape))
