"""The resources of this machine: devices, cores, memory, a display."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from rlkit.core.ranges import shown
from rlkit.core.types import UsageError

GROUPS = {"": ("memory.max", "memory.current"), "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes")}
"""Files with the limit and the usage of a control group's memory, by its controllers (version 2 names none)."""


REFUSALS = (
    *("can't allocate memory", "Unable to allocate", "out of memory", "array is too big", "array is too large"),
    *("Maximum allowed dimension exceeded", "Storage size calculation overflowed", "cannot fit 'int' into an index"),
)
"""What Python, NumPy and torch say of sizes that cannot be, beside MemoryError."""

LOOKED_UP = 1 << 26
"""Bytes from which free memory is looked up: less is not worth the time."""

LARGE, SHOWN_SIZES = 64, 3
"""The smallest number that messages call a size, and how many of them they name."""


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


def processor_name(told: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, as far as the system tells."""
    lines = told.read_text().splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def available_memory() -> int | None:
    """Return the bytes of memory that can still be allocated, or None if the system does not say.

    In a container (a control group of Linux), or under a limit of the process (``ulimit -v``), that is at most what
    the limit leaves.
    """
    limits = (_free_memory(), _free_of_process(), *_free_in_groups(Path("/sys/fs/cgroup")))
    free = [known for known in limits if known is not None]
    return min(free, default=None)


def _free_of_process() -> int | None:
    """Return what the limit of this process's address space leaves, if it has one."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, limit - used)


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


class MemoryShortageError(UsageError):
    """Something would take more memory than is free; the message names the options to change.

    Attributes:
        what: what would take how much, and how much is free.
        remedy: with the names of options in braces, ``set {rows} lower``, which `at` puts a path before.
    """

    def __init__(self, what: str, remedy: str):
        """Describe a shortage; the options have no path yet."""
        super().__init__(f"{what}; {remedy.replace('{', '').replace('}', '')}")
        self.what, self.remedy = what, remedy

    def at(self, path: str) -> UsageError:
        """Return the error for an object that is built at `path` of a configuration."""
        return UsageError(f"{self.what}; {self.remedy.replace('{', f'{path}.').replace('}', '')}")


def require_memory(needed: float, what: str, remedy: str) -> None:
    """Check that `needed` bytes of memory are free before they are allocated.

    Args:
        needed: bytes.
        what: would need them.
        remedy: ends the message; names of options stand in braces, as in ``set {rows} or {columns} lower``, and
            `rlkit.config.instantiate` puts the path of the object before them.

    Raises:
        MemoryShortageError: they are not free.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryShortageError(f"{what} needs {gigabytes(needed)}, {free / 1e9:.1f} GB are free", remedy)


class TooLargeError(MemoryError):
    """Memory that is not allocated because it is not free.

    Attributes:
        needed: bytes that what is built takes, at least.
    """

    def __init__(self, needed: float):
        """Need `needed` bytes."""
        super().__init__(f"{gigabytes(needed)} are not free")
        self.needed = needed


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of Python, NumPy or torch says that memory could not be allocated."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in REFUSALS)


def out_of_memory(what: str, error: BaseException, options: Mapping[str, object]) -> str:
    """Return the message of an error of memory: `what` is built, and its largest `options` are to be set lower."""
    free = available_memory()
    needed = gigabytes(error.needed) if isinstance(error, TooLargeError) else "more memory"
    sizes = {key: size for key, value in options.items() if (size := _size(value)) >= LARGE}
    largest = sorted(sizes, key=lambda key: -sizes[key])[:SHOWN_SIZES]
    lower = " or ".join(f"{key} ({shown(options[key])})" for key in largest)
    room = "this machine has less" if free is None else f"{gigabytes(free)} are free"
    return f"{what} needs {needed}, {room}; set {lower or 'its sizes'} lower"


def _size(value: object) -> float:
    """Return the largest whole number of a value, which can be a list of them."""
    if isinstance(value, (list, tuple)):
        return max(map(_size, value), default=0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def gigabytes(size: float) -> str:
    """Return a number of bytes for a message; of what no machine has, the power of ten."""
    return f"{size / 1e9:,.1f} GB" if size < 1e15 else f"{size / 1e9:.0e} GB"


DRAWING = re.compile(
    r"mujoco[\w/\\]*/(?:\w*render\w*|glfw|egl|osmesa|gl_context)|MjrContext|gladLoadGL|OpenGL|GLFW|EGL|OSMesa|MUJOCO_GL",
    re.IGNORECASE,
)
"""What names drawing by OpenGL in errors and the files that they pass."""


def has_display() -> bool:
    """Return whether a window can be opened here, as far as is known without trying."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def of_drawing(error: BaseException) -> str:
    """Return what helps where MuJoCo, pyglet or OpenGL fails to draw without a screen; "" for other errors."""
    lines = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    said = " ".join([str(error), *lines])
    if has_display():
        return ""
    if "pyglet" in said and "PYGLET_HEADLESS" not in os.environ:
        return "; there is no screen: PYGLET_HEADLESS=1 before the command draws without one, by EGL"
    if not DRAWING.search(said):
        return ""
    now = os.environ.get("MUJOCO_GL")
    tried = f"MUJOCO_GL={now} does not work here" if now else "there is no screen"
    return (
        f"; {tried}: MUJOCO_GL=egl before the command draws on a graphics card or by Mesa, MUJOCO_GL=osmesa in memory "
        "(Debian: apt install libegl1 libosmesa6); or set video=none"
    )


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
