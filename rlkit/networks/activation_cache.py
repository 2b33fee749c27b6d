"""What layers computed when an agent acted, kept for when it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rlkit.core.types import Array

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Of a layer's input, weights and biases; None where it is not needed."""


class Acted:
    """What the layers of a torso made of the observations in which was acted, step by step.

    An agent that takes one gradient step on a rollout has in its update the network that it acted with: the forward
    pass was done already. What is kept is what that pass over the rollout would take.
    """

    def __init__(self, read: Callable[[Array], Tensor], torso: nn.Module):
        """Keep what the layers of a `torso` that is `replayable` make of what `read` makes of observations."""
        self._read, self._layers = read, [layer for layer in _flat(torso) if type(layer) is not nn.ReLU]
        self._last: tuple[Array, list[Tensor]] | None = None
        self._kept: list[list[Tensor]] = []

    def see(self, observation: Array) -> Tensor:
        """Return features [N, F] of observations [N, ...], and remember until the next time what they came from."""
        self._last = observation, self._made(observation)
        return self._last[1][-1]

    def keep(self, observation: Array) -> None:
        """Add a step to what is learnt from; it is computed again unless it is the very array that was seen last."""
        last = self._last
        self._kept.append(last[1] if last is not None and last[0] is observation else self._made(observation))

    def restore(self, observations: Iterable[Array]) -> None:
        """Have kept these steps [T, N, ...], and no others."""
        self._kept = [self._made(observation) for observation in observations]

    def take(self) -> Tensor:
        """Return the features [T * N, F] of all steps that were kept, with their gradient, and keep nothing."""
        x, *outputs = (torch.cat(step) for step in zip(*self._kept, strict=True))
        self._kept, self._last = [], None
        for layer, output in zip(self._layers, outputs, strict=True):
            known = type(layer) in _BACKWARD
            x = _Known.apply(x, layer.weight, layer.bias, output, layer) if known else layer(x)  # type: ignore[no-untyped-call]
        return x

    @torch.inference_mode()
    def _made(self, observation: Array) -> list[Tensor]:
        """Return what was read [N, ...] and the output of each layer, its activation included."""
        made = [self._read(observation)]
        for layer in self._layers:
            made.append(layer(made[-1]).relu_() if type(layer) in _BACKWARD else layer(made[-1]))
        return made


def replayable(torso: nn.Module) -> bool:
    """Tell whether `Acted` can have a torso: convolutions and linear layers, each with a ReLU, one after the other."""
    layers = _flat(torso)
    return any(isinstance(layer, nn.Conv2d) for layer in layers) and all(
        _plain(layer) and type(after) is nn.ReLU if type(layer) in _BACKWARD else type(layer) in (nn.ReLU, nn.Flatten)
        for layer, after in zip_longest(layers, layers[1:])
    )


def _plain(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear or (layer.padding_mode == "zeros" and not isinstance(layer.padding, str))


def _flat(torso: nn.Module) -> list[nn.Module]:
    """Return the layers of sequences in sequences."""
    if not isinstance(torso, nn.Sequential):
        return [torso]
    return [layer for part in torso for layer in _flat(part)]


class _Known(torch.autograd.Function):
    """A layer and the ReLU after it, whose output is known."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, output: Tensor, layer: nn.Module) -> Tensor:
        ctx.save_for_backward(x, weight, output)
        ctx.layer = layer
        return output.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, output = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, output, 0)
        return *_BACKWARD[type(ctx.layer)](ctx.layer, gradient, x, weight, ctx.needs_input_grad[:3]), None, None


def _convolution(layer: nn.Conv2d, gradient: Tensor, x: Tensor, weight: Tensor, needed: Sequence[bool]) -> Gradients:
    sizes = layer.stride, layer.padding, layer.dilation
    none = [0] * len(layer.stride)
    found: Gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, [layer.out_channels], *sizes, False, none, layer.groups, list(needed)
    )
    return found


def _linear(layer: nn.Linear, gradient: Tensor, x: Tensor, weight: Tensor, needed: Sequence[bool]) -> Gradients:
    of_input = gradient @ weight if needed[0] else None
    return of_input, gradient.t() @ x if needed[1] else None, gradient.sum(0) if needed[2] else None


_BACKWARD: dict[type[nn.Module], Callable[..., Gradients]] = {nn.Conv2d: _convolution, nn.Linear: _linear}
