"""The machine: processor, memory, disk, GPU, display."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rlkit.cli.doctor.findings import Finding, State
from rlkit.core.resources import available_memory, cores, has_display

LITTLE = 1e9
"""Bytes of memory or disk below which a run is likely to fail."""

UNITS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 (bfloat16)", "amx_bf16": "AMX (bfloat16)"}


def processor() -> Iterator[Finding]:
    """Report the cores that may be used, and the vector units that torch uses."""
    flags = _flags()
    units = [name for flag, name in UNITS.items() if flag in flags]
    text = f"{_counted(cores(), 'core')}, {platform.machine()}"
    if flags:
        text += f", {', '.join(units) or 'no AVX2'}"
    if {"amx_bf16", "avx512_bf16"} & flags:
        text += ": with agent.precision=auto convolutions and wide layers of critics learn in bfloat16"
    yield Finding("processor", State.ok, text)


def _flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def memory() -> Iterator[Finding]:
    """Report the memory that is free."""
    free = available_memory()
    if free is None:
        yield Finding("memory", State.ok, "the system does not say")
    elif free < LITTLE:
        yield Finding("memory", State.broken, f"{free / 1e9:.1f} GB free", "end other programs; small replay.capacity")
    else:
        yield Finding("memory", State.ok, f"{free / 1e9:.1f} GB free")


def disk() -> Iterator[Finding]:
    """Report the space where runs and videos would be written, and whether they can be."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    text = f"{free / 1e9:.1f} GB free in {here}, where runs/ and videos/ go"
    if not os.access(here, os.W_OK):
        yield Finding("disk", State.required, f"{here} cannot be written to", "go to a folder of yours: cd ~")
    elif free < LITTLE:
        yield Finding("disk", State.broken, text, "delete old runs, or lower checkpoint.keep")
    else:
        yield Finding("disk", State.ok, text)


def gpu() -> Iterator[Finding]:
    """Report what torch can compute on; torch is loaded only where there is a GPU to ask it about."""
    try:
        torch_version = version("torch")
    except PackageNotFoundError:
        yield Finding("GPU", State.absent, "torch is not installed", "pip install torch; Q-tables do without")
        return
    if not (_has_nvidia() or (sys.platform == "darwin" and platform.machine() == "arm64")):
        yield Finding("GPU", State.absent, f"none: device=auto is the processor (torch {torch_version})")
        return
    yield _torchs_view(torch_version)


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _torchs_view(torch_version: str) -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPU", State.ok, f"{', '.join(names)} (CUDA {torch.version.cuda}, torch {torch_version})")
    if sys.platform == "darwin" and torch.backends.mps.is_available():
        return Finding("GPU", State.ok, f"Apple's, with device=mps (torch {torch_version})")
    why = "is built without CUDA" if torch.version.cuda is None else "cannot use it: the driver may be too old"
    remedy = "install torch as https://pytorch.org/get-started/locally says, or set device=cpu"
    return Finding("GPU", State.broken, f"there is one, but torch {torch_version} {why}", remedy)


def display() -> Iterator[Finding]:
    """Report whether a person can play in a window."""
    if has_display():
        yield Finding("display", State.ok, "a person can play: rlkit play run=… human=true")
    else:
        yield Finding("display", State.absent, "none: human=true needs one, videos do not")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


CHECKS = (("processor", processor), ("memory", memory), ("disk", disk), ("GPU", gpu), ("display", display))
