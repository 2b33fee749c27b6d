"""Torsos, which turn observations into features: their parts, and those for numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core import tree
from rlkit.core.ranges import PositiveInt, ShareBelowOne
from rlkit.core.spaces import COMPOSED_SPACES, require_array, rooms, space_tree
from rlkit.core.texts import Tokens
from rlkit.core.types import FromRun, UsageError, described, require_least
from rlkit.networks.observations import highest_byte
from rlkit.networks.tensors import as_floats, to_tensor

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "sigmoid": nn.Sigmoid}

MakeLinear = Callable[[int, int], nn.Module]
"""Makes a fully connected layer from the widths of its input and output."""


class Chain(nn.Sequential):
    """Layers in sequence: `nn.Sequential` that skips the checks for hooks in layers without any.

    These checks take as long as small layers do.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the output [B, ...] of the last layer for inputs [B, ...]."""
        for layer in self._modules.values():
            assert layer is not None
            forward, backward = layer._forward_hooks, layer._backward_hooks
            hooked = forward or backward or layer._forward_pre_hooks or layer._backward_pre_hooks
            x = layer(x) if hooked else layer.forward(x)
        return x


class Torso(nn.Module):
    """Observations [B, ...] -> features [B, features]: a reader, a body, and the last fully connected layer on top.

    A network with several heads, or noisy layers, uses reader and body and makes a top of its own for each head. An
    observation for two networks is read once.

    Attributes:
        reader: observations as floats; it has no parameters.
        body: the layers between reader and top, shared by all heads.
        top: the last layer and its activation; an `nn.Identity` where there is none.
        make_top: makes another top from the given kind of linear layer.
        features: width of the top.
        encoder: path of its pretrained weights; None: they are random.
        frozen: it is not trained.
        hidden_size: H, length of its recurrent state; 0: it has none (`rlkit.networks.recurrent`).
    """

    encoder: str | None = None
    frozen: bool = False
    hidden_size: int = 0

    def __init__(self, reader: nn.Module, body: nn.Module, make_top: Callable[[MakeLinear], nn.Module], features: int):
        """Put a top of plain linear layers on `body`."""
        super().__init__()
        self.reader = reader
        self.body = body
        self.top = make_top(nn.Linear)
        self.make_top = make_top
        self.features = features

    @property
    def pretrained(self) -> bool:
        """Whether it has an encoder's weights, which must not be initialized again."""
        return self.encoder is not None

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, features] of observations [B, ...]."""
        features: Tensor = self.top(self.body(self.reader(observation)))
        return features


class Floats(nn.Module):
    """Observations as floats of their own shape; discrete ones are their numbers.

    Attributes:
        highest: the divisor of bytes.
    """

    def __init__(self, highest: float):
        """Divide bytes by `highest`."""
        super().__init__()
        self.highest = highest

    def forward(self, observation: Tensor) -> Tensor:
        """Return float32 [B, ...] of observations [B, ...]."""
        return as_floats(observation, self.highest)


class TreeFloats(nn.Module):
    """Trees of observations as trees of floats, for a module that reads all parts by itself."""

    def __init__(self, observation_space: spaces.Space[Any]):
        """Divide the bytes of each part by its largest value."""
        super().__init__()
        self._highest = tree.map(highest_byte, space_tree(observation_space))

    def forward(self, observation: Any) -> Any:
        """Return trees of float32 [B, ...] for trees of observations [B, ...]."""
        return tree.map_many(lambda highest, part: as_floats(part, highest), self._highest, observation)


def as_torso(module: nn.Module, observation_space: spaces.Space[Any]) -> Torso:
    """Return a torso of any module: itself, or one whose body is the module, read as floats, without a top.

    Args:
        module: a `Torso`, or any module whose `features` says how wide its output is.
        observation_space: its largest value divides bytes; of a `Dict` or `Tuple`, the module gets a tree of floats.

    Raises:
        UsageError: it is no torso, does not say how wide its features are, or returns others.
    """
    if isinstance(module, Torso):
        if not type(module).__module__.startswith("rlkit."):
            _require_features(module, module, observation_space)
        return module
    features = getattr(module, "features", None)
    if not isinstance(features, int):
        name = type(module).__name__
        raise UsageError(
            f"{name} is no torso: set self.features in its constructor to the width of what its forward returns, or "
            "inherit from rlkit.networks.Torso"
        )
    composed = isinstance(observation_space, COMPOSED_SPACES)
    reader = TreeFloats(observation_space) if composed else Floats(highest_byte(observation_space))
    torso = Torso(reader, module, lambda linear: nn.Identity(), features)
    _require_features(torso, module, observation_space)
    return torso


def _require_features(torso: Torso, module: nn.Module, observation_space: spaces.Space[Any]) -> None:
    """Compute the features of two observations of zeros, without a trace in modules or generators.

    Raises:
        UsageError: that fails, or they are not [2, features].
    """
    name, wanted = type(module).__name__, (2, torso.features)
    device = next((str(parameter.device) for parameter in module.parameters()), "cpu")
    zeros = to_tensor(tree.map(np.zeros_like, rooms(observation_space, 2)()), device)
    modes = [(part, part.training) for part in torso.modules()]
    torso.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = tuple(np.shape(torso(zeros)))
    except Exception as error:  # a user's module can raise anything
        raise UsageError(f"{name}: its forward raised {described(error)} for a batch of two observations") from error
    finally:
        for part, training in modes:
            part.training = training
    if shape != wanted:
        raise UsageError(
            f"{name}: its forward returns {list(shape)} for two observations, and its features is {torso.features}; "
            f"let it return [B, {torso.features}], or correct self.features"
        )


AUTO = "network=auto reads them as they are"


class Flat(nn.Module):
    """Observations as rows of floats: discrete ones are one-hot, others are flattened, bytes are scaled to [0, 1].

    Attributes:
        features: length of a row.
        highest: the divisor of bytes.
    """

    def __init__(self, observation_space: spaces.Space[Any]):
        """Make rows of observations of one array.

        Raises:
            UsageError: they are a tree, or texts.
        """
        super().__init__()
        require_array(observation_space, agent="network=mlp", remedy=AUTO)
        if isinstance(observation_space, Tokens):
            raise UsageError(f"network=mlp needs numbers, not the texts of {observation_space}; {AUTO}")
        if isinstance(observation_space, spaces.Discrete):
            self._sizes: list[int] | None = [int(observation_space.n)]
        elif isinstance(observation_space, spaces.MultiDiscrete):
            self._sizes = [int(n) for n in observation_space.nvec.ravel()]
        else:
            self._sizes = None
        self.highest = highest_byte(observation_space)
        # Observations of no numbers are one that is always zero.
        self.features = sum(self._sizes) if self._sizes else max(1, int(np.prod(observation_space.shape or ())))

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, features] float32 of observations [B, ...]."""
        if self._sizes is None:
            rows = observation[:, None] if observation.ndim == 1 else observation.flatten(1)
            return as_floats(rows if rows.shape[1] else rows.new_zeros(rows.shape[0], 1), self.highest)
        columns = observation.reshape(observation.shape[0], -1).unbind(1)
        one_hot = [nn.functional.one_hot(c.long(), n) for c, n in zip(columns, self._sizes, strict=True)]
        return torch.cat(one_hot, dim=1).float()


class MLP(Torso):
    """A torso of fully connected layers."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        hidden: Sequence[PositiveInt],
        activation: str,
        layer_norm: bool,
        *,
        batch_norm: bool = False,
        dropout: ShareBelowOne = 0.0,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment.
            hidden: width of each layer.
            activation: one of `ACTIVATIONS`, after each layer.
            layer_norm: normalize before each activation (Ba et al., 2016), which stabilizes Q-learning.
            batch_norm: normalize each feature over the batch before each activation (Ioffe & Szegedy, 2015).
            dropout: share of each layer's activations that are dropped in training.

        Raises:
            UsageError: an unknown activation, a layer of no width, or observations that are a tree.
        """
        active = activation_of(activation)
        for width in hidden:
            require_least(1, "network", hidden=width)
        flat = Flat(observation_space)

        widths = [flat.features, *hidden]

        def layer(linear: MakeLinear, width_in: int, width_out: int) -> list[nn.Module]:
            norm: list[nn.Module] = [nn.LayerNorm(width_out)] if layer_norm else []
            norm += [nn.BatchNorm1d(width_out)] if batch_norm else []
            drop = [nn.Dropout(dropout)] if dropout else []
            return [linear(width_in, width_out), *norm, active(), *drop]

        def make_top(linear: MakeLinear) -> nn.Module:
            return Chain(*layer(linear, *widths[-2:])) if hidden else nn.Identity()

        lower = [module for pair in pairwise(widths[:-1]) for module in layer(nn.Linear, *pair)]
        super().__init__(flat, Chain(*lower), make_top, widths[-1])


def activation_of(name: str) -> type[nn.Module]:
    """Return the activation called `name`.

    Raises:
        UsageError: it is not one of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"network.activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
