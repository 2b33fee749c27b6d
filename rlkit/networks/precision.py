"""Mixed precision: which parts of a network compute in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from rlkit.core.types import UsageError
from rlkit.networks.q_network import QNetwork

QOutputs = Callable[[Tensor, Tensor | None], Tensor]
"""Returns the outputs [B, A, K] float32 for read observations, with noise or None."""

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
    """Return whether the torso of `network` learns in mixed precision (Micikevicius et al., 2018).

    Args:
        choice: one of `CHOICES`; auto: if it has convolutions and `device` has units for bfloat16. Small layers gain
            nothing from it and would only lose precision.
        device: where the network lives.
        network: the whole network.

    Raises:
        UsageError: an unknown choice.
    """
    if require_precision(choice) != "auto":
        return choice == "bfloat16"
    return any(isinstance(module, nn.Conv2d) for module in network.modules()) and has_bfloat16(device)


def autocast_outputs(network: QNetwork, device: str) -> QOutputs:
    """Return the outputs of `network` as a function whose torso multiplies in bfloat16; all else is float32.

    Values of actions often differ by less than a hundredth, which the 8 bits of bfloat16 cannot represent: the heads,
    and everything computed from their outputs, keep 24.
    """
    kind = device.partition(":")[0]

    def outputs(x: Tensor, noise: Tensor | None) -> Tensor:
        with torch.autocast(kind, torch.bfloat16):
            of_actions, of_state = network.features(x, noise)
        return network.heads(of_actions.float(), None if of_state is None else of_state.float())

    return outputs


def has_bfloat16(device: str) -> bool:
    """Return whether `device` multiplies matrices of bfloat16 in units made for it (AMX, tensor cores)."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")
    return device == "cpu" and cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()
