"""Memory of networks, checked before it is allocated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from rlkit.core.resources import LOOKED_UP, TooLargeError, available_memory

COPIES = 4
"""Tensors of a parameter's size in training: itself, its gradient, and two moments of an optimizer."""

FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full}


class CheckedAllocations(TorchFunctionMode):
    """Within it, tensors of torch's factories are counted, and those for which there is no memory are refused."""

    def __init__(self) -> None:
        """Begin with no tensor."""
        super().__init__()
        self._allocated = self._checked = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`.

        Raises:
            TooLargeError: a tensor, or all of them together, would take more memory than is free in training.
        """
        options = kwargs or {}
        if func in FACTORIES:
            self._require(4 * _elements(args), options.get("device"))
        return func(*args, **options)

    def _require(self, size: int, device: Any) -> None:
        """Count `size` bytes, in training `COPIES` times."""
        if torch.device("cpu" if device is None else device).type != "cpu":
            return
        total = self._allocated + size
        if total - self._checked >= LOOKED_UP:
            free = available_memory()
            if free is not None and COPIES * total - self._allocated > free:
                raise TooLargeError(COPIES * total)
            self._checked = total
        self._allocated = total


def _elements(args: Sequence[Any]) -> int:
    """Return the number of elements that a factory's positional arguments describe."""
    sizes = args[0] if args and isinstance(args[0], (tuple, list)) else args
    return prod(size for size in sizes if isinstance(size, int))
