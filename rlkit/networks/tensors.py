"""Arrays as tensors, the scaling of bytes, and states of modules and optimizers as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.core import tree
from rlkit.core.alike import require_alike
from rlkit.core.types import Batch, Replay, State, Tree


class Minibatch(NamedTuple):
    """The columns of an `rlkit.core.types.Batch` as tensors, but its index, by the symbols of `rlkit.core.targets`."""

    s_tm1: Tree  # [B, ...] observations
    a_tm1: Tensor  # [B] int64, or [B, D] float32
    r_t: Tensor  # [B] float32, of n steps where the replay says so
    discount_t: Tensor  # [B] float32, without the last step's gamma
    s_t: Tree  # [B, ...] successors
    legal_t: Tensor | None  # [B, A] bool
    weight: Tensor  # [B] float32


MOMENTS = frozenset(["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "momentum_buffer"])
"""What optimizers of torch keep of each parameter, of its own shape."""


def to_tensor(array: Tree, device: str) -> Any:
    """Return `array` [...] as a tensor of its shape and dtype on `device`; of a tree of arrays, a tree of tensors.

    On a CPU, floats are copied: torch aligns its memory to 64 bytes and NumPy does not, and the last bit of a matrix
    product can depend on it, so that equal runs would differ. Integers become floats, in memory of torch's, before
    anything is multiplied, so they share the array's memory if possible. The copy to a GPU goes through pinned memory
    and is not waited for.
    """
    if isinstance(array, (Tensor, dict, tuple)):
        if isinstance(array, Tensor):
            return array.to(device, non_blocking=True)
        return tree.map(lambda leaf: to_tensor(leaf, device), array)
    if device.startswith("cuda"):
        return torch.from_numpy(np.require(array, requirements=("C", "W"))).pin_memory().to(device, non_blocking=True)
    if device == "cpu" and array.flags.writeable and min(array.strides, default=0) >= 0:
        shared = torch.from_numpy(array)
        return shared if array.dtype.kind in "biu" else shared.clone(memory_format=torch.contiguous_format)
    return torch.tensor(np.asarray(array, order="C"), device=device)


def as_floats(observation: Tensor, highest: float) -> Tensor:
    """Return observations [B, ...] as float32; bytes are copied and divided by `highest`.

    Floats stay as they are: if they were made from bytes, they were scaled there, as by `Standardize`.
    """
    if observation.dtype != torch.uint8:
        return observation.float()
    return observation.to(torch.float32, copy=True).div_(highest)


def flattened_steps(column: Tree) -> Tree:
    """Return tensors [T, N, ...], one or a tree of them, as [T * N, ...]."""
    return column.flatten(0, 1) if isinstance(column, Tensor) else tree.map(lambda leaf: leaf.flatten(0, 1), column)


def split_rows(column: Tree, size: int) -> tuple[Tree, ...]:
    """Return a tree of tensors [K * size, ...] as K trees of tensors [size, ...]."""
    starts = range(0, tree.length(column), size)
    return tuple(tree.take(column, slice(start, start + size)) for start in starts)


def minibatches(sample: Batch, size: int, tensor: Callable[[Tree], Any]) -> list[Minibatch]:
    """Return the minibatches of `size` rows that a sample is made of, in order, converted by `tensor`."""
    count = len(sample.index) // size
    columns: list[tuple[Any, ...]] = []
    for column in sample[:-1]:
        if column is None:
            columns.append((None,) * count)
        else:
            rows = tensor(column)
            if isinstance(rows, Tensor):
                columns.append(rows.view(count, size, *rows.shape[1:]).unbind())
            else:
                columns.append(split_rows(rows, size))
    return list(map(Minibatch._make, zip(*columns, strict=True)))


def gradient_steps(
    replay: Replay,
    count: int,
    *,
    batch_size: int,
    gamma: float,
    tensor: Callable[[Tree], Any],
    step: Callable[[Minibatch], dict[str, Tensor]],
) -> list[dict[str, Tensor]]:
    """Take gradient steps on samples of a replay, and return the metrics of each.

    Their minibatches are drawn together, which is faster; by priority one at a time, as each step changes those.

    Args:
        replay: is told the priorities.
        count: of the gradient steps.
        batch_size: B, rows of a minibatch.
        gamma: of rewards of several steps.
        tensor: converts arrays.
        step: takes one gradient step and returns its metrics, and ``priorities`` [B].
    """
    together = 1 if replay.prioritized else count
    found = []
    for _ in range(count // together):
        sample, priorities = replay.sample(together * batch_size, gamma), []
        for batch in minibatches(sample, batch_size, tensor):
            metrics = step(batch)
            priorities.append(metrics.pop("priorities"))
            found.append(metrics)
        replay.update_priorities(sample.index, torch.cat(priorities).cpu().numpy())
    return found


def module_state(module: nn.Module) -> State:
    """Return parameters and buffers as arrays by name."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, state: State) -> None:
    """Restore a state from `module_state`."""
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()})


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """Return an optimizer's state as plain data."""
    state: State = _to_arrays(optimizer.state_dict())
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Restore a state from `optimizer_state`.

    Raises:
        ValueError: it is one of other parameters, or with options that are none.
    """
    _require_moments(optimizer, state["state"])
    _require_options(optimizer, state["param_groups"])
    optimizer.load_state_dict(_to_tensors(state))


def _require_moments(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Check the averages of gradients: torch would take those of other shapes until its first step."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state.items():
        require_alike(values, {}, f"optimizer.{index}")
        wanted = parameters[int(index)].detach().cpu().numpy()
        for name in sorted(MOMENTS & values.keys()):
            if values[name] is not None:
                require_alike(values[name], wanted, f"optimizer.{index}.{name}")


def _require_options(optimizer: torch.optim.Optimizer, groups: Sequence[State]) -> None:
    """Check the switches of an optimizer, and those that torch chooses where they are None, before its first step."""
    for index, (found, own) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        for name, value in own.items():
            wanted = (value,) if type(value) is bool else (None, True, False) if value is None else ()
            if wanted and not any(found.get(name, value) is one for one in wanted):
                shown = str(found[name])[:50]
                raise ValueError(f"optimizer.param_groups.{index}.{name} is {shown}, not {value}")


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
        return torch.tensor(value)
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_tensors(item) for item in value)
    return value
