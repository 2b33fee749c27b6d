"""What wrappers do to observations and actions, as operations of torch that a graph can hold.

Shapes: B rows. A `WrapperLayer` is what one wrapper does; wrappers that change neither are no layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces, wrappers
from torch import Tensor

from rlkit import preprocess
from rlkit.core import tree, zero_based
from rlkit.core.spaces import space_tree
from rlkit.core.types import Tree
from rlkit.networks.box_tensors import dtype_of

Convert = Callable[[Any], Any]


class WrapperLayer(NamedTuple):
    """What a wrapper does; at most one of these is not None."""

    observation: Convert | None = None  # of the environment's observations [B, ...]
    action: Convert | None = None  # of the agent's actions [B, ...]
    frames: spaces.Box | None = None  # the space of stacks of observations, which are remembered


NOTHING = WrapperLayer()

UNCHANGED: tuple[type, ...] = (
    *(preprocess.ClipReward, preprocess.SignReward, preprocess.TerminalReward, preprocess.LifeLoss),
    *(wrappers.ClipReward, wrappers.NormalizeReward, wrappers.TimeLimit),
)
"""Wrappers that change neither observations nor actions."""


def layer_of(wrapper: Any) -> WrapperLayer | None:
    """Return what a wrapper does, or None where no graph can hold it."""
    kind = type(wrapper)
    if kind in UNCHANGED:
        return NOTHING
    if kind is preprocess.FrameStack:
        return WrapperLayer(frames=wrapper.observation_space)
    convert = OBSERVATIONS[kind](wrapper) if kind in OBSERVATIONS else None
    if convert is not None:
        return WrapperLayer(observation=convert)
    convert = ACTIONS[kind](wrapper) if kind in ACTIONS else None
    return None if convert is None else WrapperLayer(action=convert)


def wrappers_between(outermost: gymnasium.Env[Any, Any], innermost: gymnasium.Env[Any, Any]) -> list[Any]:
    """Return the wrappers around `innermost`, the innermost first."""
    found: list[Any] = []
    env: Any = outermost
    while env is not innermost:
        found.append(env)
        env = env.env
    return found[::-1]


def _gray(wrapper: Any) -> Convert:
    # The fixed-point numbers of OpenCV, which adds a half before it drops the 15 bits.
    weights = torch.tensor([9798, 19235, 3735], dtype=torch.int32)
    return lambda image: (((image.int() * weights).sum(-1) + 16384) // 32768).to(torch.uint8)


def _crop(wrapper: Any) -> Convert:
    return lambda image: image[:, wrapper._rows, wrapper._columns]


def _keep(wrapper: Any) -> Convert:
    indices = torch.from_numpy(wrapper._indices)
    return lambda rows: rows.index_select(1, indices)


def _reshaped(wrapper: Any) -> Convert:
    return lambda array: array.reshape(-1, *wrapper.observation_space.shape)


def _cast(wrapper: Any) -> Convert | None:
    space = wrapper.observation_space
    return (lambda array: array.to(dtype_of(space.dtype))) if isinstance(space, spaces.Box) else None


def _flattened(wrapper: Any) -> Convert:
    own, dtype = space_tree(wrapper.env.observation_space), dtype_of(wrapper.observation_space.dtype)
    leaves = tree.leaves(own)

    def convert(observation: Tree) -> Tensor:
        parts = tree.leaves(tree.map_many(lambda space, part: part, own, observation))
        return torch.cat([_row(space, part).to(dtype) for space, part in zip(leaves, parts, strict=True)], 1)

    return convert


def _row(space: Any, part: Tensor) -> Tensor:
    """Return values [B, ...] of a space as `gymnasium.spaces.flatten` shows them, [B, F]."""
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return part.reshape(part.shape[0], -1)
    counted = part.long().reshape(part.shape[0], -1) - torch.from_numpy(np.ravel(space.start).astype(np.int64))
    sizes = np.ravel(space.n if isinstance(space, spaces.Discrete) else space.nvec).tolist()
    columns = zip(counted.unbind(1), sizes, strict=True)
    return torch.cat([torch.nn.functional.one_hot(column, size) for column, size in columns], 1)


def _linear(source: Any, target: Any) -> Convert | None:
    """Return what takes numbers between the bounds of one `Box` to those between the bounds of another."""
    if not (source.is_bounded() and target.is_bounded() and np.all(source.low < source.high)):
        return None
    low, high, new_low, new_high = (
        torch.from_numpy(bound.astype(np.float64)) for bound in (source.low, source.high, target.low, target.high)
    )
    slope, dtype = (new_high - new_low) / (high - low), dtype_of(target.dtype)
    return lambda numbers: ((numbers.double() - low) * slope + new_low).to(dtype)


def _clipped(wrapper: Any) -> Convert:
    space = wrapper.env.action_space
    low, high, dtype = torch.from_numpy(space.low), torch.from_numpy(space.high), dtype_of(space.dtype)
    return lambda action: action.to(dtype).maximum(low).minimum(high)


def _rows_of_table(wrapper: Any) -> Convert:
    table = torch.from_numpy(wrapper._table)
    return lambda action: table[action]


def _shifted(space: Any, sign: int) -> Convert:
    """Return what adds the starts of a space's discrete values; with a `sign` of -1 it subtracts them."""
    parts = space_tree(space)

    def shift(part: Any, value: Tensor) -> Tensor:
        start = np.asarray(sign * np.asarray(zero_based.start_of(part), np.int64))
        dtype = dtype_of(part.dtype) if sign > 0 else torch.int64
        return (value.long() + torch.from_numpy(start)).to(dtype) if start.any() else value

    return lambda values: tree.map_many(shift, parts, values)


def _from_zero(wrapper: Any) -> Convert:
    return _shifted(wrapper.env.observation_space, -1)


def _to_start(wrapper: Any) -> Convert:
    return _shifted(wrapper.env.action_space, 1)


def _discrete_tuple(wrapper: Any) -> Convert:
    shifted = _from_zero(wrapper)
    return lambda parts: torch.stack([part.long() for part in shifted(parts)], 1)


OBSERVATIONS: dict[type, Callable[[Any], Convert | None]] = {
    preprocess.ChannelsLast: lambda wrapper: lambda image: image.movedim(1, -1),
    preprocess.Crop: _crop,
    preprocess.Gray: _gray,
    preprocess.Keep: _keep,
    wrappers.FlattenObservation: _flattened,
    wrappers.ReshapeObservation: _reshaped,
    wrappers.DtypeObservation: _cast,
    wrappers.RescaleObservation: lambda wrapper: _linear(wrapper.env.observation_space, wrapper.observation_space),
    zero_based.ZeroBasedParts: _from_zero,
    zero_based.DiscreteTuple: _discrete_tuple,
    zero_based.ZeroBasedObservations: _from_zero,
    zero_based.ZeroBasedTree: _from_zero,
}

ACTIONS: dict[type, Callable[[Any], Convert | None]] = {
    preprocess.DiscreteActions: _rows_of_table,
    wrappers.RescaleAction: lambda wrapper: _linear(wrapper.action_space, wrapper.env.action_space),
    wrappers.ClipAction: _clipped,
    zero_based.ZeroBasedActions: _to_start,
    zero_based.ZeroBasedChoices: _to_start,
    zero_based.ZeroBasedActionTree: _to_start,
}
