"""A folder of recorded episodes: parts of a few episodes each, ``part-00000.npz``, and ``episodes.json``.

A part is arrays without pickle, its steps one after the other. The index is written after it and names it, so that a
part that a crash left incomplete is never read and its name is used again. What is recorded later is appended.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.files import read_bytes
from rlkit.core.ranges import shown
from rlkit.core.types import Array, RunError, Tree, UsageError
from rlkit.learners.datasets.archives import DAMAGED
from rlkit.learners.datasets.demonstrations.recorded import Demonstration, Recorded, joined
from rlkit.learners.datasets.demonstrations.steps import OPTIONAL, require_steps

FORMAT = "rlkit-episodes-1"
INDEX = "episodes.json"
PART = re.compile(r"part-\d+\.npz")
STEPS = ("observation", "action", "intended", "reward", "discount", "last", "episode")
"""The arrays of a part that have a row for each step."""


class EpisodeFolder:
    """Collects episodes and writes them, some at a time."""

    def __init__(self, path: Path | str, about: Mapping[str, Any], save_every: int):
        """Begin a folder, or go on in one.

        Args:
            path: the folder.
            about: of the environment; what a folder holds already must have the same spaces.
            save_every: so many episodes are written together.

        Raises:
            UsageError: the folder holds something else.
        """
        self.path = Path(path)
        self._save_every = save_every
        self._waiting: list[Demonstration] = []
        self._index: dict[str, Any] = {"format": FORMAT, "about": dict(about), "parts": []}
        if (self.path / INDEX).exists():
            self._index = _index(self.path)
            _require_same(self.path, self._index["about"], about)
        elif self.path.exists() and any(self.path.iterdir()):
            raise UsageError(f"{self.path} holds no recorded episodes; choose another folder: out=")

    def __len__(self) -> int:
        """Return how many episodes there are, those that are not written yet included."""
        return len(_facts(self._index)) + len(self._waiting)

    def add(self, episode: Demonstration) -> None:
        """Add an episode, and write those that wait when there are enough.

        Raises:
            RunError: the disk is full or cannot be written; what was written before stays.
        """
        self._waiting.append(episode)
        if len(self._waiting) >= self._save_every:
            self.save()

    def save(self) -> None:
        """Write the episodes that wait.

        Raises:
            RunError: the disk is full or cannot be written; what was written before stays.
        """
        if not self._waiting:
            return
        parts, first = self._index["parts"], len(_facts(self._index))
        name = f"part-{len(parts):05d}.npz"
        episodes = [
            {"number": first + i, "length": len(episode.reward), **episode.facts}
            for i, episode in enumerate(self._waiting)
        ]
        index = {**self._index, "parts": [*parts, {"file": name, "episodes": episodes}]}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _write_arrays(self.path / name, _arrays(self._waiting, first))
            _write_whole(self.path / INDEX, (json.dumps(index, indent=1) + "\n").encode())
        except OSError as error:
            raise RunError(
                f"cannot write to {self.path}: {error.strerror}; what was saved before stays: fix it, then record on"
            ) from error
        self._index, self._waiting = index, []


@contextmanager
def appending(
    path: Path | str, about: Mapping[str, Any], save_every: int, make: Callable[..., Any] | None = None
) -> Iterator[EpisodeFolder]:
    """Yield a folder to record into; what was added is written however it ends.

    `make` says what kind of folder, with the arguments of `EpisodeFolder`, which is what None makes.

    Raises:
        UsageError: the folder holds something else, or another process records into it.
    """
    folder = (make or EpisodeFolder)(path, about, save_every)
    folder.path.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.path, os.O_RDONLY)
    try:
        _lock(handle, folder.path)
        try:
            yield folder
        finally:
            folder.save()
            if not any(folder.path.iterdir()):
                folder.path.rmdir()
    finally:
        os.close(handle)


def read_folder(path: Path | str) -> Recorded:
    """Return what a folder holds.

    Raises:
        UsageError: it is not there, or holds no recorded episodes.
        RunError: a part of it is damaged.
    """
    folder = Path(path).expanduser()
    index = _index(folder)
    parts = [_read_part(folder, part["file"]) for part in index["parts"]]
    if not parts:
        out = shlex.quote(f"out={folder}")
        raise UsageError(f"{folder} holds no episodes yet; record some: rlkit play record=true {out}")
    try:
        together = tree.concatenate(_with_all(parts))
    except (ValueError, KeyError) as error:
        raise RunError(f"the parts in {folder} do not fit together: {error}") from error
    return Recorded(**together, about=index["about"], episodes=_facts(index))


def _with_all(parts: list[dict[str, Tree]]) -> list[dict[str, Tree]]:
    """Return parts that all have `truncated` if one of them does: where it is not said, the end says it."""
    if not any("truncated" in part for part in parts):
        return parts
    return [{"truncated": part["last"] & (part["discount"] != 0), **part} for part in parts]


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads(read_bytes(folder / INDEX))
        found = index["format"]
        index = {key: index[key] for key in ("format", "about", "parts")}
        if not isinstance(index["about"], dict) or not all(isinstance(part["file"], str) for part in index["parts"]):
            raise TypeError("about is no mapping, or a part has no file")
        if not all(isinstance(episode, dict) for episode in _facts(index)):
            raise TypeError("an episode is no mapping")
    except FileNotFoundError:
        raise UsageError(
            f"there are no recorded episodes in {folder} (no {INDEX} in it); record some: rlkit play record=true"
        ) from None
    except OSError as error:
        raise UsageError(f"{folder / INDEX} cannot be read: {str(error.strerror).lower()}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{folder / INDEX} is no index of episodes: {type(error).__name__}: {error}") from error
    if found != FORMAT:
        raise UsageError(f"{folder} has format {shown(found)}; this rlkit reads {FORMAT!r}")
    return index


def _facts(index: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [episode for part in index["parts"] for episode in part["episodes"]]


def _require_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in ("observation_space", "action_space"):
        if found[key] != wanted[key]:
            raise UsageError(
                f"{folder} holds episodes whose {key.replace('_', ' ')} is {found[key]}, not {wanted[key]}; "
                "record into another folder: out="
            )


def _arrays(episodes: Sequence[Demonstration], first: int) -> dict[str, Array]:
    """Return the arrays of a part that begins with episode number `first`."""
    return {name: tree.pack(column) for name, column in joined(episodes, first).items()}


def _write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)  # it may be a link of somebody else's
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    _replace(temporary, path)


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.write_bytes(content)
    _replace(temporary, path)


def _replace(temporary: Path, path: Path) -> None:
    """Put a whole file in its place, so that a power cut leaves the old one or the new one."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _read_part(folder: Path, name: str) -> dict[str, Tree]:
    path = folder / name
    if not PART.fullmatch(name) or path.is_symlink():
        raise UsageError(f"{folder / INDEX} names {name:.100}, which is no part of its folder")
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
            names = (*STEPS, "final_observation", *(name for name in OPTIONAL if name in archive))
            found = {name: tree.unpack(archive[name]) for name in names}
        require_steps(found)
        return found
    except DAMAGED as error:
        raise RunError(
            f"{path} cannot be read: {type(error).__name__}: {error}; take it and its episodes out of {INDEX}"
        ) from error


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another process records into {path}; wait for it, or record elsewhere: out=") from None
    except OSError:
        # A file system without locks: then there is none to respect.
        pass
