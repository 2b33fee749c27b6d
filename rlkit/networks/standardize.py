"""Observations of unit scale (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.parts import at, parts_of, path_to, replaced
from rlkit.core.spaces import COMPOSED_SPACES
from rlkit.core.types import Array, UsageError
from rlkit.networks.observations import is_image


class Standardize(nn.Module):
    """Subtracts means and divides by standard deviations, both set from outside, and clips at 10."""

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, shape: tuple[int, ...]):
        """Begin with mean 0 and standard deviation 1."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("inverse_std", torch.ones(shape))

    def forward(self, observation: Tensor) -> Tensor:
        """Return observations [B, ...] of unit scale."""
        return ((observation - self.mean) * self.inverse_std).clamp(-10, 10)

    @property
    def parts(self) -> Sequence[Standardize]:
        """What standardizes each part of observations that is standardized."""
        return [self]

    def select(self, observation: Array) -> Sequence[Array]:
        """Return the parts [B, ...] of observations [B, ...] that are standardized."""
        return [observation]


class StandardizeParts(nn.Module):
    """Standardizes those parts of a `Dict` or `Tuple` that are numbers; all others stay as they are."""

    def __init__(self, observation_space: spaces.Space[Any]):
        """Begin with means 0 and standard deviations 1.

        Raises:
            UsageError: no part is numbers.
        """
        super().__init__()
        numbers = {name: part for name, part in parts_of(observation_space).items() if _is_numbers(part)}
        if not numbers:
            raise _refusal(observation_space)
        self._paths = [path_to(observation_space, name) for name in numbers]
        self.standardizers = nn.ModuleList(Standardize(part.shape) for part in numbers.values())

    def forward(self, observation: Any) -> Any:
        """Return trees of observations [B, ...] whose numbers are of unit scale."""
        for path, standardize in zip(self._paths, self.standardizers, strict=True):
            observation = replaced(observation, path, standardize(at(observation, path)))
        return observation

    @property
    def parts(self) -> Sequence[Standardize]:
        """What standardizes each part of observations that is standardized."""
        return list(self.standardizers)  # type: ignore[arg-type]

    def select(self, observation: Any) -> Sequence[Array]:
        """Return the parts [B, ...] of observations that are standardized."""
        return [at(observation, path) for path in self._paths]


def standardizer(observation_space: spaces.Space[Any]) -> Standardize | StandardizeParts:
    """Return what standardizes the numbers of observations.

    Raises:
        UsageError: there are none.
    """
    if isinstance(observation_space, COMPOSED_SPACES):
        return StandardizeParts(observation_space)
    if not _is_numbers(observation_space):
        raise _refusal(observation_space)
    return Standardize(observation_space.shape or ())


def has_numbers(observation_space: spaces.Space[Any]) -> bool:
    """Return whether observations, or parts of them, are numbers that can be standardized."""
    return any(map(_is_numbers, parts_of(observation_space).values()))


def _is_numbers(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box) and not is_image(space)


def _refusal(space: spaces.Space[Any]) -> UsageError:
    return UsageError(f"standardize=true is for numbers, not {space}; leave it false")
