"""Storage of frames: a ring of arrays in memory, in a file on disk, or on a GPU."""

from __future__ import annotations

import math
import operator
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rlkit.core import tree
from rlkit.core.resources import require_memory
from rlkit.core.spaces import space_tree
from rlkit.core.types import Array, RunError, Tree, UsageError

LOCATIONS = ("auto", "memory", "disk", "gpu")

ANNOUNCED_FROM = 100_000_000
"""Bytes of memory from which the user is informed."""

KEPT = 4
"""The number of arrays in `Buffers`: for one or two batches in use, and one of another size in between."""


def _unheld() -> int:
    """Return the reference count of an array that only the container of a loop refers to."""
    for array in deque([np.empty(0)]):
        return sys.getrefcount(array)
    raise AssertionError


UNHELD = _unheld()


class Frames(Protocol):
    """A ring of `size` frames of the same shapes and dtypes; frame number i is at place i % size."""

    size: int

    def put(self, first: int, frames: Tree) -> None:
        """Store frames [K, ...] as numbers `first`, `first` + 1, …"""

    def take(self, places: Array) -> Any:
        """Return the frames [*places.shape, ...] at `places`, int: NumPy arrays, or tensors if they are on a GPU."""

    def read(self, places: Array) -> Tree:
        """Return the frames [*places.shape, ...] at `places` as NumPy arrays in memory of their own."""

    @property
    def part(self) -> Callable[[Any, Any], Any]:
        """Returns ``leaf[index]`` of each leaf of frames, which for plain arrays is their own indexing."""


class ArrayFrames:
    """Frames in a NumPy array, in memory or mapped to a file."""

    part = staticmethod(operator.getitem)

    def __init__(self, array: Array):
        """Use `array` [size, ...], which may be uninitialized."""
        self._array = array
        self._buffers = Buffers()
        self.size = len(array)

    def put(self, first: int, frames: Array) -> None:
        """Store frames [K, ...], wrapping around at the end of the ring."""
        start = first % self.size
        room = self.size - start
        if len(frames) <= room:
            self._array[start : start + len(frames)] = frames
        else:
            self._array[start:] = frames[:room]
            self._array[: len(frames) - room] = frames[room:]

    def take(self, places: Array) -> Array:
        """Return copies of the frames [*places.shape, ...] at `places`."""
        out = self._buffers.get((*places.shape, *self._array.shape[1:]), self._array.dtype)
        # Clipping changes no valid place; without it NumPy would write to a buffer of its own first.
        return self._array.take(places, axis=0, out=out, mode="clip")

    def read(self, places: Array) -> Array:
        """Return the frames [*places.shape, ...] in memory of their own."""
        return self._array.take(places, axis=0)


class Buffers:
    """Arrays that are reused once nothing refers to them, nor to a view or a tensor of them.

    New memory comes page by page and zeroed, which takes longer than the copy into it.
    """

    def __init__(self) -> None:
        """Begin without arrays."""
        self._arrays: deque[Array] = deque(maxlen=KEPT)

    def get(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an uninitialized array [*shape]."""
        for array in self._arrays:
            if array.shape == shape and array.dtype == dtype and sys.getrefcount(array) == UNHELD:
                return array
        self._arrays.append(np.empty(shape, dtype))
        return self._arrays[-1]


class TensorFrames:
    """Frames in a torch tensor, for agents on a GPU: samples never cross the bus."""

    part = staticmethod(operator.getitem)

    def __init__(self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: str):
        """Allocate the memory on `device`."""
        import torch

        self._torch = torch
        self._tensor = torch.from_numpy(np.empty(0, dtype)).new_empty((size, *shape), device=device)
        self.size = size

    def put(self, first: int, frames: Array) -> None:
        """Store frames [K, ...]."""
        places = self._torch.arange(first, first + len(frames), device=self._tensor.device) % self.size
        self._tensor[places] = self._torch.from_numpy(np.ascontiguousarray(frames)).to(self._tensor.device)

    def take(self, places: Array) -> Any:
        """Return copies of the frames [*places.shape, ...] at `places` as a tensor."""
        index = self._torch.from_numpy(np.asarray(places, np.int64)).to(self._tensor.device)
        return self._tensor[index]

    def read(self, places: Array) -> Array:
        """Return the frames [*places.shape, ...] as a NumPy array."""
        frames: Array = self.take(places).cpu().numpy()
        return frames


class TreeFrames:
    """Frames that are trees of arrays: a ring for each leaf."""

    part = staticmethod(tree.take)

    def __init__(self, rings: Tree):
        """Use the `rings`, a tree of `Frames`."""
        self._rings = rings
        self.size = tree.leaves(rings)[0].size

    def put(self, first: int, frames: Tree) -> None:
        """Store frames [K, ...]."""
        tree.map_many(lambda ring, part: ring.put(first, part), self._rings, frames)

    def take(self, places: Array) -> Tree:
        """Return copies of the frames [*places.shape, ...] at `places`."""
        return tree.map(lambda ring: ring.take(places), self._rings)

    def read(self, places: Array) -> Tree:
        """Return the frames [*places.shape, ...] at `places` in memory of their own."""
        return tree.map(lambda ring: ring.read(places), self._rings)

    def at(self, key: str) -> Frames:
        """Return the part of the frames under a key of theirs."""
        part = self._rings[key]
        return TreeFrames(part) if isinstance(part, dict | tuple) else part


def allocate(size: int, frame: Tree, location: str, device: str, scratch: Path | None) -> Frames:
    """Return storage for `size` frames like `frame`.

    Args:
        size: number of frames.
        frame: an example, for shapes and dtypes.
        location: ``memory``, ``disk`` (a file that is deleted when the process ends), ``gpu`` (the agent's `device`),
            or ``auto``: on the GPU if the agent is on one and this needs at most half of its free memory.
        device: of the agent.
        scratch: folder of the file on disk; None: the system's temporary folder.

    Raises:
        UsageError: the disk does not have enough space, or ``gpu`` for an agent elsewhere.
    """
    gpu = on_gpu(size * tree.nbytes(frame), location, device)
    rings = tree.map(lambda leaf: _ring(size, leaf, location, device if gpu else "cpu", scratch), frame)
    return TreeFrames(rings) if isinstance(rings, dict | tuple) else rings


def _ring(size: int, frame: Array, location: str, device: str, scratch: Path | None) -> Frames:
    """Return storage for `size` frames that are one array each, on `device`."""
    if device != "cpu":
        return TensorFrames(size, frame.shape, frame.dtype, device)
    if location != "disk":
        return ArrayFrames(np.empty((size, *frame.shape), frame.dtype))
    folder = Path(tempfile.gettempdir()) if scratch is None else scratch
    folder.mkdir(parents=True, exist_ok=True)
    # The file has no name once it is open, so it is gone however the process ends.
    with tempfile.TemporaryFile(dir=folder) as file:
        _reserve(file.fileno(), max(1, size * frame.nbytes), folder)
        return ArrayFrames(np.memmap(file, frame.dtype, "r+", shape=(size, *frame.shape)))


def _reserve(file: int, needed: int, folder: Path) -> None:
    """Reserve `needed` bytes of the disk for a file: a page that cannot be written later would end the process."""
    try:
        if sys.platform == "linux":
            os.posix_fallocate(file, 0, needed)
        else:
            os.truncate(file, needed)
    except OSError as error:
        raise UsageError(
            f"replay.location=disk needs {needed / 1e9:.1f} GB in {folder}: {error.strerror}; free space, or set "
            "replay.capacity lower"
        ) from error


def on_gpu(needed: int, location: str, device: str) -> bool:
    """Return whether frames of `needed` bytes are stored on a GPU, the agent's `device`.

    Raises:
        UsageError: `location` is ``gpu``, but the agent is not on one.
    """
    if location == "gpu" and not device.startswith("cuda"):
        raise UsageError(f"replay.location=gpu needs an agent on a GPU, not device={device}; use memory or disk")
    if location not in ("auto", "gpu") or not device.startswith("cuda"):
        return False
    return location == "gpu" or needed <= _free_gpu_memory(device) // 2


def _free_gpu_memory(device: str) -> int:
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def require_room(needed: int, what: str, location: str, device: str, scratch: Path | None) -> None:
    """Check that `needed` bytes are free at `location` before they are allocated.

    Raises:
        UsageError: they are not; `what` is part of the message.
    """
    if on_gpu(needed, location, device):
        _require(needed, _free_gpu_memory(device), what, "on the GPU", "replay.location=memory or a lower capacity")
    elif location == "disk":
        folder = next(path for path in _upwards(scratch) if path.exists())
        _require(needed, shutil.disk_usage(folder).free, what, "on the disk", "a lower replay.capacity")
    else:
        require_memory(needed, what, "set replay.capacity lower, or replay.location=disk")


def announce(
    capacity: int,
    frames: int,
    rows: int,
    location: str,
    device: str,
    scratch: Path | None,
    notify: Callable[[str], None],
) -> None:
    """Check that there is room for `frames` bytes of frames, and `rows` bytes of rows in memory, and report large ones.

    Raises:
        UsageError: there is not enough room.
    """
    what = f"a replay of {capacity:,} transitions"
    apart = on_gpu(frames, location, device) or location == "disk"
    require_room(frames + (0 if apart else rows), what, location, device, scratch)
    if apart:
        require_memory(rows, what, "set replay.capacity lower")
    where = "gpu" if on_gpu(frames, location, device) else location.replace("auto", "memory")
    if frames + rows >= ANNOUNCED_FROM:
        notify(f"{what} takes up to {(frames + rows) / 1e9:.2g} GB ({where})")


def _require(needed: int, free: int, what: str, where: str, remedy: str) -> None:
    if needed > free:
        raise UsageError(f"{what} needs {needed / 1e9:.1f} GB {where}, {free / 1e9:.1f} GB are free; set {remedy}")


def _upwards(scratch: Path | None) -> list[Path]:
    path = (Path(tempfile.gettempdir()) if scratch is None else scratch).absolute()
    return [path, *path.parents]


def frame_count(capacity: int, stack: int, num_envs: int, frame_bytes: int) -> int:
    """Return how many frames to store for `capacity` transitions.

    A transition adds one frame, the first of an episode up to `stack` more. Small frames have room for the worst case,
    large ones for 0.5% more than one per transition: with episodes shorter than about 600 steps the oldest transitions
    are dropped a little early.
    """
    worst = capacity * (stack + 1)
    spare = max(capacity // 200, (64 << 20) // max(1, frame_bytes))
    # The current observations are always stored, even if all environments begin again in every step.
    return min(worst, capacity + spare) + num_envs * (stack + 1) ** 2


def check_location(location: str) -> str:
    """Return `location` if it is one of `LOCATIONS`.

    Raises:
        UsageError: it is not.
    """
    if location not in LOCATIONS:
        raise UsageError(f"replay.location is {location!r}; it must be one of {', '.join(LOCATIONS)}")
    return location


def bytes_of(space: Any, stacks: Tree) -> int:
    """Return the bytes of one frame of observations of `space`; `stacks` are the frames that each part stacks.

    Raises:
        RunError: the observations are not arrays.
    """
    parts, numbers = tree.leaves(space_tree(space)), tree.leaves(stacks)
    if any(part.dtype is None for part in parts):
        raise RunError(f"observations of {space} are not arrays")
    each = numbers if len(numbers) == len(parts) else numbers * len(parts)
    sizes = [math.prod(part.shape or ()) * np.dtype(part.dtype).itemsize for part in parts]
    return int(sum(size // stack for size, stack in zip(sizes, each, strict=True)))
