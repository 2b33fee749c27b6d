"""Which numbers a network computes with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from rlkit.core import UsageError

Outputs = Callable[[Tensor, Tensor | None], Tensor]
"""The outputs [B, A, K] of what was read, with noise or none."""

CHOICES = ("auto", "float32", "bfloat16")


class Precision:
    """Mixed precision (Micikevicius et al., 2018): matrix products in bfloat16, parameters and sums in float32.

    Attributes:
        bfloat16: whether it is mixed.
    """

    def __init__(self, choice: str, device: str):
        """Choose one of `CHOICES`; auto: bfloat16 where `device` has units for it.

        Raises:
            UsageError: another choice.
        """
        if choice not in CHOICES:
            raise UsageError(f"agent.precision is {choice!r}; it must be one of {', '.join(CHOICES)}")
        self.bfloat16 = choice == "bfloat16" or (choice == "auto" and has_bfloat16(device))
        self._kind = device.partition(":")[0]

    def __call__(self) -> AbstractContextManager[object]:
        """Return a context in which networks compute so."""
        return torch.autocast(self._kind, torch.bfloat16) if self.bfloat16 else nullcontext()


def computing(outputs: Outputs, precision: Precision, *, compile: bool) -> Outputs:
    """Return `outputs` as a function that computes in `precision` and gives float32, compiled where wanted."""
    apply = torch.compile(outputs) if compile else outputs
    if not precision.bfloat16:
        return apply

    def compute(seen: Tensor, noise: Tensor | None) -> Tensor:
        with precision():
            return apply(seen, noise).float()

    return compute


def has_bfloat16(device: str) -> bool:
    """Tell whether `device` multiplies matrices of bfloat16 in units made for it (AMX, tensor cores)."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")
    return device == "cpu" and cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()
