"""The resources of this machine: devices, cores, memory, a display."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from rlkit.core.types import UsageError

GROUPS = {"": ("memory.max", "memory.current"), "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes")}
"""Files with the limit and the usage of a control group's memory, by its controllers (version 2 names none)."""


def checked_device(device: str) -> str:
    """Return `device` if it is the name of a device, whether or not this machine has it.

    Raises:
        UsageError: it is not.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(device)):
        raise UsageError(f"device is {device}; it must be auto, cpu, cuda, cuda:1, … or mps")
    return str(device)


def torch_device(device: str) -> str:
    """Return the device that torch computes on: `device`, or for ``auto`` a GPU if there is one.

    Raises:
        UsageError: torch does not see it.
    """
    import torch

    if device.startswith("cuda") and int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise UsageError(f"device is {device}, but torch sees {torch.cuda.device_count()} CUDA devices; set device=cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device is mps, which torch does not see here; set device=cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Return the bytes of memory that can still be allocated, or None if the system does not say.

    In a container (a control group of Linux) that is at most what its limit leaves.
    """
    free = [known for known in (_free_memory(), *_free_in_groups(Path("/sys/fs/cgroup"))) if known is not None]
    return min(free, default=None)


def _free_in_groups(root: Path, groups: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield what the limits of this process's control groups, of version 2 or 1, leave."""
    for line in _lines(groups):
        _, controllers, group = line.split(":", 2)
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind in GROUPS:
            inner, depth = root / kind / group.lstrip("/"), len((root / kind).parts)
            for folder in [inner, *inner.parents][: len(inner.parts) - depth + 1]:
                limit, used = (_lines(folder / name) for name in GROUPS[kind])
                if limit and used and limit[0].isdigit():
                    yield max(0, int(limit[0]) - int(used[0]) + _reclaimable(folder))


def _reclaimable(folder: Path) -> int:
    """Return the bytes of a group's file cache that are freed when memory is short."""
    fields = dict(line.split()[:2] for line in _lines(folder / "memory.stat"))
    return int(fields.get("inactive_file", 0))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _free_memory() -> int | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Check that `needed` bytes of memory are free before they are allocated.

    Raises:
        UsageError: they are not; `what` and `remedy` are part of the message.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise UsageError(f"{what} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; {remedy}")


def has_display() -> bool:
    """Return whether a window can be opened here, as far as is known without trying."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def keep_freed_memory() -> None:
    """Have glibc keep up to 256 MB of freed memory for what is allocated next; elsewhere nothing happens.

    An update of a network frees tens of megabytes and allocates them again. If they were returned to the system in
    between, they would come back page by page, zeroed, which can be a tenth of the time of an update.
    """
    top_pad, trim_threshold, mmap_threshold = -2, -1, -3  # names in malloc.h
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            mallopt = ctypes.CDLL(None).mallopt
            for option, megabytes in ((mmap_threshold, 32), (trim_threshold, 256), (top_pad, 16)):
                mallopt(option, megabytes * 2**20)


def prepare_torch(environ: MutableMapping[str, str] = os.environ) -> None:
    """Make torch, which is not imported yet, wait and allocate as suits training on a CPU; variables already set stay.

    GNU's OpenMP threads spin for a tenth of their usual time: that is enough from one layer to the next, and after the
    last one they would keep cores from environments that step. Large tensors are allocated in large pages.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", "30000")
    environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
