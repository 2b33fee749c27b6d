"""Mixed precision (Micikevicius et al., 2018): which parts of a network compute in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlkit.core.types import UsageError
from rlkit.networks.q_network import QNetwork
from rlkit.networks.stacked import StackedLinear

QOutputs = Callable[[Tensor, Tensor | None], Tensor]
"""Returns the outputs [B, A, K] float32 for read observations, with noise or None."""

WIDE = 256
"""Widths from which products of stacked layers are faster in bfloat16, their conversions included."""

CHOICES = ("auto", "float32", "bfloat16")


def require_precision(choice: str) -> str:
    """Return `choice` if it is one of `CHOICES`.

    Raises:
        UsageError: it is not.
    """
    if choice not in CHOICES:
        raise UsageError(f"agent.precision is {choice!r}; it must be one of {', '.join(CHOICES)}")
    return choice


def uses_bfloat16(choice: str, device: str, network: nn.Module) -> bool:
    """Return whether `network` learns in mixed precision.

    Args:
        choice: one of `CHOICES`; auto: if it has convolutions, or stacked layers as wide as `WIDE`, and `device` has
            units for bfloat16. Small layers gain nothing from it and would only lose precision.
        device: where the network lives.
        network: the whole network.

    Raises:
        UsageError: an unknown choice.
    """
    if require_precision(choice) != "auto":
        return choice == "bfloat16"
    return any(map(_gains, network.modules())) and has_bfloat16(device)


def _gains(layer: nn.Module) -> bool:
    """Return whether a layer is faster in bfloat16."""
    if isinstance(layer, StackedLinear):
        return not layer.exact and min(layer.weight.shape[1:]) >= WIDE
    return isinstance(layer, nn.Conv2d)


def mixed_precision(device: str) -> AbstractContextManager[Any]:
    """Return a context in which products are in bfloat16, but for those of layers that say otherwise."""
    return torch.autocast(device.partition(":")[0], torch.bfloat16)


def autocast_outputs(network: QNetwork, device: str) -> QOutputs:
    """Return the outputs of `network` as a function whose torso multiplies in bfloat16; all else is float32.

    Values of actions often differ by less than a hundredth, which the 8 bits of bfloat16 cannot represent: the heads,
    and everything computed from their outputs, keep 24.
    """

    def outputs(x: Tensor, noise: Tensor | None) -> Tensor:
        with mixed_precision(device):
            of_actions, of_state = network.features(x, noise)
        return network.heads(of_actions.float(), None if of_state is None else of_state.float())

    return outputs


def has_bfloat16(device: str) -> bool:
    """Return whether `device` multiplies matrices of bfloat16 in units made for it (AMX, AVX-512, tensor cores)."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")
    if device != "cpu" or not cpuinfo.exists():
        return False
    flags = cpuinfo.read_text().split()
    return "amx_bf16" in flags or "avx512_bf16" in flags
