"""Actions of a `Box` as tensors: what `rlkit.core.spaces.box_actions` and `ActionScaling` do, by torch."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.core.action_scaling import ActionScaling
from rlkit.core.spaces import exact_bound
from rlkit.core.types import Array


def dtype_of(space_dtype: np.dtype) -> torch.dtype:
    """Return the dtype of tensors for that of arrays."""
    return torch.from_numpy(np.zeros(1, space_dtype)).dtype


def box_tensors(space: spaces.Box, numbers: Tensor) -> Tensor:
    """Return `numbers` [B, D] as actions [B, ...] of a `Box`, within its bounds; all but floats are rounded."""
    floats = np.issubdtype(space.dtype, np.floating)
    low, high = (_bound(bound.ravel(), floats) for bound in (space.low, space.high))
    exact = numbers if floats else numbers.double().round()
    inside = exact.maximum(low.to(exact.dtype)).minimum(high.to(exact.dtype))
    return inside.to(dtype_of(space.dtype)).reshape(-1, *space.shape)


def _bound(bound: Array, floats: bool) -> Tensor:
    return torch.from_numpy(bound if floats else exact_bound(bound))


def scaled_tensors(scaling: ActionScaling, numbers: Tensor) -> Tensor:
    """Return numbers in [-1, 1], [B, D'], as actions [B, ...] of the space, in its dtype."""
    middle, half = torch.from_numpy(scaling.middle), torch.from_numpy(scaling.half)
    spread = torch.zeros(len(half), len(middle), dtype=torch.float64)
    spread[torch.arange(len(half)), torch.from_numpy(np.flatnonzero(scaling.free))] = half
    return box_tensors(scaling.space, middle + numbers.double() @ spread)
