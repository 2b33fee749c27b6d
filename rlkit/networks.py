"""Torsos and heads (torch), and their states as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core import Array, State, UsageError
from rlkit.spaces import num_actions

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "sigmoid": nn.Sigmoid}


class Flat(nn.Module):
    """Observations as rows of floats: discrete ones are one-hot, the rest is flattened.

    Attributes:
        features: length of a row.
    """

    def __init__(self, observation_space: spaces.Space[Any]):
        super().__init__()
        if isinstance(observation_space, spaces.Discrete):
            self._sizes: list[int] | None = [int(observation_space.n)]
        elif isinstance(observation_space, spaces.MultiDiscrete):
            self._sizes = [int(n) for n in observation_space.nvec.ravel()]
        else:
            self._sizes = None
        self.features = sum(self._sizes) if self._sizes else int(np.prod(observation_space.shape or ()))

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, features] float32 of observations [B, ...]."""
        if self._sizes is None:
            return observation.flatten(1).float()
        columns = observation.reshape(len(observation), -1).unbind(1)
        one_hot = [nn.functional.one_hot(c.long(), n) for c, n in zip(columns, self._sizes, strict=True)]
        return torch.cat(one_hot, dim=1).float()


class MLP(nn.Sequential):
    """A torso of fully connected layers.

    Attributes:
        features: width of the last layer.
    """

    def __init__(self, observation_space: spaces.Space[Any], hidden: Sequence[int], activation: str, layer_norm: bool):
        """Make the layers.

        Args:
            observation_space: of one environment.
            hidden: width of each layer.
            activation: one of `ACTIVATIONS`, after each layer.
            layer_norm: normalise before each activation (Ba et al., 2016), which steadies Q-learning.

        Raises:
            UsageError: an unknown activation.
        """
        if activation not in ACTIVATIONS:
            raise UsageError(f"network.activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")
        flat = Flat(observation_space)
        widths = [flat.features, *hidden]
        layers: list[nn.Module] = [flat]
        for width_in, width_out in pairwise(widths):
            norm = [nn.LayerNorm(width_out)] if layer_norm else []
            layers += [nn.Linear(width_in, width_out), *norm, ACTIVATIONS[activation]()]
        super().__init__(*layers)
        self.features = widths[-1]


class NatureCNN(nn.Sequential):
    """The convolutional torso of Mnih et al. (2015), on images [H, W, C] or [C, H, W].

    Attributes:
        features: width of the last layer.
    """

    def __init__(self, observation_space: spaces.Space[Any], hidden: int):
        """Make the layers; `hidden` is the width of the fully connected one.

        Raises:
            UsageError: the observations are no images, or smaller than 36x36.
        """
        if not is_image(observation_space):
            raise UsageError(f"network=nature needs images, not {observation_space}; use network=mlp")
        image = Image(observation_space)
        convolutions = nn.Sequential(
            nn.Conv2d(image.channels, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        try:
            flat = convolutions(image(torch.zeros(1, *(observation_space.shape or ())))).shape[1]
        except RuntimeError as error:
            raise UsageError(
                f"network=nature needs images of at least 36x36, not {observation_space.shape}; use network=mlp"
            ) from error
        super().__init__(image, convolutions, nn.Linear(flat, hidden), nn.ReLU())
        self.features = hidden


class Image(nn.Module):
    """Images as [B, C, H, W] float32 in [0, 1].

    Attributes:
        channels: C.
    """

    def __init__(self, observation_space: spaces.Space[Any]):
        super().__init__()
        shape = observation_space.shape or ()
        self._channels_last = shape[2] <= shape[0]
        self.channels = shape[2] if self._channels_last else shape[0]

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, C, H, W] of images [B, H, W, C] or [B, C, H, W] uint8."""
        images = observation.permute(0, 3, 1, 2) if self._channels_last else observation
        return images.float() / 255


def is_image(observation_space: spaces.Space[Any]) -> bool:
    """Tell whether observations are pictures: three axes of uint8."""
    shape = observation_space.shape or ()
    return isinstance(observation_space, spaces.Box) and len(shape) == 3 and observation_space.dtype == np.uint8


def auto(observation_space: spaces.Space[Any], hidden: Sequence[int], activation: str, layer_norm: bool) -> nn.Module:
    """Return the torso that fits: `NatureCNN` for images, an `MLP` with these settings for anything else."""
    if is_image(observation_space):
        return NatureCNN(observation_space, hidden=512)
    return MLP(observation_space, hidden, activation, layer_norm)


class QNetwork(nn.Module):
    """Action values: a torso and a linear head.

    Attributes:
        num_actions: A.
    """

    def __init__(self, torso: nn.Module, action_space: spaces.Space[Any]):
        """Put a head for the actions of `action_space` (`Discrete`) on `torso`, which tells its `features`."""
        super().__init__()
        self.num_actions = num_actions(action_space, agent="a Q-network")
        self.torso = torso
        self.head = nn.Linear(int(torso.features), self.num_actions)  # type: ignore[arg-type]

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, A] action values of observations [B, ...]."""
        values: Tensor = self.head(self.torso(observation))
        return values


class FlatParameters:
    """All parameters of a module, and their gradients, as one vector each.

    The module's own parameters become views of it, so that an optimiser step, a clipped norm or a target update is one
    operation instead of one for each layer: on small networks those calls are most of an update.

    Attributes:
        vector: [P] leaf tensor with its gradient in place.
    """

    def __init__(self, module: nn.Module):
        """Move the parameters of `module`, all of one dtype and device, into one vector."""
        parameters = list(module.parameters())
        self.vector = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
        self.vector.grad = torch.zeros_like(self.vector)
        start = 0
        for parameter in parameters:
            stop = start + parameter.numel()
            parameter.data = self.vector.data[start:stop].view_as(parameter)
            # Autograd adds to a gradient that is there already, in place: into the vector.
            parameter.grad = self.vector.grad[start:stop].view_as(parameter)
            start = stop

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        assert self.vector.grad is not None
        self.vector.grad.zero_()

    def clip_grad_norm(self, max_norm: float) -> None:
        """Scale the gradient down to `max_norm` where it is longer (Pascanu et al., 2013)."""
        assert self.vector.grad is not None
        norm = float(self.vector.grad.norm())
        if norm > max_norm:
            self.vector.grad.mul_(max_norm / norm)

    def follow(self, other: FlatParameters, tau: float) -> None:
        """Move towards `other` by the share `tau`; 1 copies."""
        self.vector.data.lerp_(other.vector.data, tau)


def to_tensor(array: Array, device: str) -> Tensor:
    """Return a copy of `array` as a tensor on `device`.

    A copy even on a CPU: torch aligns its memory to 64 bytes and NumPy does not, and the last bit of a matrix product
    can depend on it, so that equal runs would differ.
    """
    return torch.tensor(array, device=device)


def module_state(module: nn.Module) -> State:
    """Return parameters and buffers as arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, state: State) -> None:
    """Take back what `module_state` gave."""
    module.load_state_dict({name: to_tensor(array, "cpu") for name, array in state.items()})


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """Return an optimiser's state as plain data."""
    state: State = _to_arrays(optimizer.state_dict())
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Take back what `optimizer_state` gave."""
    optimizer.load_state_dict(_to_tensors(state))


def _to_arrays(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: _to_arrays(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_arrays(item) for item in value)
    return value


def _to_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return to_tensor(value, "cpu")
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_tensors(item) for item in value)
    return value
