"""Activations of the acting agent, kept for its next update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rlkit.core.types import Array

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Gradients of a layer's input, weights and biases; None if not needed."""


class ActivationCache:
    """The activations of a torso for the observations that an agent acted on, step by step.

    An agent that takes one gradient step per rollout updates the very network that it acted with, so the forward pass
    over the rollout was done already. The cache needs the memory that this pass would need.
    """

    def __init__(self, read: Callable[[Array], Tensor], torso: nn.Module):
        """Begin without steps; `torso` must be supported, and `read` makes its inputs from observations [N, ...]."""
        self._read = read
        self._layers = [layer for layer in _layers(torso) if type(layer) is not nn.ReLU]
        self._last: tuple[Array, list[Tensor]] | None = None
        self._steps: list[list[Tensor]] = []

    @staticmethod
    def supports(torso: nn.Module) -> bool:
        """Return whether `torso` is a sequence of convolutions and linear layers, each followed by a ReLU."""
        layers = _layers(torso)
        return any(isinstance(layer, nn.Conv2d) for layer in layers) and all(
            _plain(layer) and type(after) is nn.ReLU
            if type(layer) in _BACKWARD
            else type(layer) in (nn.ReLU, nn.Flatten)
            for layer, after in zip_longest(layers, layers[1:])
        )

    def forward(self, observation: Array) -> Tensor:
        """Return features [N, F] of observations [N, ...]; their activations are kept until the next call."""
        self._last = observation, self._computed(observation)
        return self._last[1][-1]

    def append(self, observation: Array) -> None:
        """Add a step of observations [N, ...], computed again unless it is the array last passed to `forward`."""
        last = self._last
        self._steps.append(last[1] if last is not None and last[0] is observation else self._computed(observation))

    def restore(self, observations: Iterable[Array]) -> None:
        """Replace all steps by those of observations [T, N, ...]."""
        self._steps = [self._computed(observation) for observation in observations]

    def features(self) -> Tensor:
        """Return the features [T * N, F] of all steps, with gradients, and remove all steps."""
        x, *outputs = (torch.cat(step) for step in zip(*self._steps, strict=True))
        self._steps = []
        self._last = None
        for layer, output in zip(self._layers, outputs, strict=True):
            known = type(layer) in _BACKWARD
            x = _KnownOutput.apply(x, layer.weight, layer.bias, output, layer) if known else layer(x)  # type: ignore[no-untyped-call]
        return x

    @torch.inference_mode()
    def _computed(self, observation: Array) -> list[Tensor]:
        """Return the read observations [N, ...] and the output of each layer after its activation."""
        outputs = [self._read(observation)]
        for layer in self._layers:
            outputs.append(layer(outputs[-1]).relu_() if type(layer) in _BACKWARD else layer(outputs[-1]))
        return outputs


def _plain(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear or (layer.padding_mode == "zeros" and not isinstance(layer.padding, str))


def _layers(torso: nn.Module) -> list[nn.Module]:
    """Return the layers of nested sequences in order."""
    if not isinstance(torso, nn.Sequential):
        return [torso]
    return [layer for part in torso for layer in _layers(part)]


class _KnownOutput(torch.autograd.Function):
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
    gradients: Gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, [layer.out_channels], *sizes, False, none, layer.groups, list(needed)
    )
    return gradients


def _linear(layer: nn.Linear, gradient: Tensor, x: Tensor, weight: Tensor, needed: Sequence[bool]) -> Gradients:
    of_input = gradient @ weight if needed[0] else None
    return of_input, gradient.t() @ x if needed[1] else None, gradient.sum(0) if needed[2] else None


_BACKWARD: dict[type[nn.Module], Callable[..., Gradients]] = {nn.Conv2d: _convolution, nn.Linear: _linear}
