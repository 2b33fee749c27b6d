"""Checkpoints: plain data in a folder that is safe to load from a stranger, because nothing is pickled.

A checkpoint is ``state.json`` (the tree), ``arrays.npz`` (its arrays) and, for what is large and only grows,
``segments/<name>.npz``: a segment that the previous checkpoint already holds is linked, not written again.
``manifest.json``, with the SHA-256 of every file, comes last; a folder without one is incomplete.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, RunError, State

FORMAT = "rlkit-checkpoint-1"
STEP = re.compile(r"0|[1-9][0-9]*")
"""The name of a checkpoint's folder."""

LONGEST_HEADER = 1_000_000
"""Maximum length of an array's header: a structured array has a field for each leaf of a tree."""

_TAGS = ("__array__", "__scalar__", "__tuple__", "__items__", "__segment__")


class Segment(NamedTuple):
    """Arrays under a name that identifies their content: the same name never holds anything else.

    They are read only when needed: not if the previous checkpoint already holds the segment.
    """

    name: str
    read: Callable[[], dict[str, Array]]
    compress: bool = False  # deflate its file


class CheckpointError(RunError):
    """A checkpoint that cannot be used; the message names it and the problem."""


class Store:
    """The checkpoints of one run, by step: the newest `keep` complete ones."""

    def __init__(self, directory: Path, keep: int = 1, warn: Callable[[str], None] = lambda message: None):
        self.directory = directory
        self._keep = keep
        self._warn = warn

    def steps(self) -> list[int]:
        """Return the steps of the complete checkpoints, oldest first."""
        return sorted(int(path.name) for path in self._folders() if _has_manifest(path))

    def save(self, step: int, state: State) -> Path:
        """Write a checkpoint and drop the oldest beyond `keep`.

        Raises:
            RunError: `state` is not plain data, or the disk is full or not writable; earlier checkpoints are kept.
        """
        temporary = self.directory / f".tmp-{step}"
        final = self.directory / str(step)
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            _write(temporary, step, state, self._previous(step))
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
        except OSError as error:
            raise RunError(_disk_message(error, final)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for old in self.steps()[: -self._keep]:
            shutil.rmtree(self.directory / str(old))
        return final

    def load(self, step: int) -> State:
        """Return the state of the checkpoint at `step` after verifying its hashes.

        Raises:
            CheckpointError: it is missing, damaged or not an rlkit checkpoint.
        """
        folder = self.directory / str(step)
        verify(folder)
        return _read(folder)

    def load_newest(
        self, usable: Callable[[State], bool] = lambda state: True, remedy: str = "start the run again"
    ) -> tuple[int, State]:
        """Return (step, state) of the newest checkpoint that is complete and `usable`; warn of those that are skipped.

        Raises:
            CheckpointError: there is none; the message ends with `remedy` if there are only unusable ones.
        """
        end = "start the run again"
        for folder in self._incomplete():
            self._warn(f"checkpoint {folder} is incomplete and was ignored")
        for step in reversed(self.steps()):
            try:
                state = self.load(step)
            except CheckpointError as error:
                self._warn(f"{error}; using the one before it")
                continue
            if usable(state):
                return step, state
            end = remedy
        raise CheckpointError(f"no usable checkpoint in {self.directory}; {end}")

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints after `step`, and the remains of interrupted saves."""
        for folder in self.directory.glob(".tmp-*"):
            shutil.rmtree(folder, ignore_errors=folder.is_symlink())
        for path in self._folders():
            if int(path.name) > step:
                shutil.rmtree(path)

    def retain(self, steps: Container[int]) -> None:
        """Delete the complete checkpoints that are not at `steps`."""
        for step in self.steps():
            if step not in steps:
                shutil.rmtree(self.directory / str(step))

    def _incomplete(self) -> list[Path]:
        unnamed = [path for path in self._folders() if not _has_manifest(path)]
        return sorted([*self.directory.glob(".tmp-*"), *unnamed])

    def _folders(self) -> list[Path]:
        """Return the folders of checkpoints, complete or not; links are none: what they point to is not the run's."""
        if self.directory.is_symlink() or not self.directory.is_dir():
            return []
        named = (path for path in self.directory.iterdir() if STEP.fullmatch(path.name))
        return [path for path in named if path.is_dir() and not path.is_symlink()]

    def _previous(self, step: int) -> Path | None:
        before = [known for known in self.steps() if known < step]
        return self.directory / str(before[-1]) if before else None


def _has_manifest(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def verify(folder: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: a file is missing or changed, or this is not an rlkit checkpoint.
    """
    for name, digest in _manifest(folder)["files"].items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"checkpoint {folder} is damaged: {name} is missing")
        if _sha256(path) != digest:
            raise CheckpointError(f"checkpoint {folder} is damaged: {name} does not match its SHA-256")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"checkpoint {folder} has format {manifest['format']!r}; this rlkit reads {FORMAT!r}")
        return {"files": dict(manifest["files"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder} is not an rlkit checkpoint: {type(error).__name__} in manifest.json"
        ) from error


def _write(folder: Path, step: int, state: State, previous: Path | None) -> None:
    arrays: dict[str, Array] = {}
    segments: dict[str, Segment] = {}
    tree = _pack(state, "", arrays, segments)
    (folder / "state.json").write_text(json.dumps(tree))
    _save_arrays(folder / "arrays.npz", arrays)
    files = {name: _sha256(folder / name) for name in ("state.json", "arrays.npz")}
    known = _files(previous)
    for segment in segments.values():
        name = f"segments/{segment.name}.npz"
        if previous is not None and name in known and _link(previous / name, folder / name):
            files[name] = known[name]
        else:
            (folder / "segments").mkdir(exist_ok=True)
            _save_arrays(folder / name, segment.read(), segment.compress)
            files[name] = _sha256(folder / name)
    manifest = {"format": FORMAT, "step": step, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))


def _files(previous: Path | None) -> dict[str, str]:
    """Return the files that may be linked; none if the previous checkpoint's manifest is damaged."""
    if previous is None:
        return {}
    try:
        return dict(_manifest(previous)["files"])
    except CheckpointError:
        return {}


def _link(source: Path, target: Path) -> bool:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return False
    return True


def _read(folder: Path) -> State:
    try:
        tree = json.loads((folder / "state.json").read_text())
        state: State = _unpack(tree, _arrays(folder / "arrays.npz"), folder / "segments")
        return state
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"checkpoint {folder} cannot be read: {type(error).__name__}: {error}") from error


def _pack(value: Any, path: str, arrays: dict[str, Array], segments: dict[str, Segment]) -> Any:
    if isinstance(value, np.generic):
        return {"__scalar__": _store(np.asarray(value), path, arrays)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Segment):
        if value.name in segments:
            raise RunError(f"state at {path!r}: there is another segment named {value.name}; give each its own name")
        segments[value.name] = value
        return {"__segment__": value.name}
    if isinstance(value, np.ndarray):
        return {"__array__": _store(value, path, arrays)}
    if isinstance(value, dict):
        return _pack_dict(value, path, arrays, segments)
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{path}.{i}", arrays, segments) for i, item in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise RunError(
        f"state at {path!r} is a {type(value).__name__}; a checkpoint holds arrays, numbers, strings, booleans, None, "
        "and dicts, lists and tuples of them"
    )


def _pack_dict(value: dict[Any, Any], path: str, arrays: dict[str, Array], segments: dict[str, Segment]) -> Any:
    packed = [(key, _pack(item, f"{path}.{key}".lstrip("."), arrays, segments)) for key, item in value.items()]
    if all(isinstance(key, str) and key not in _TAGS for key in value):
        return dict(packed)
    return {"__items__": [[_pack(key, f"{path}.key", arrays, segments), item] for key, item in packed]}


def _store(array: Array, path: str, arrays: dict[str, Array]) -> str:
    """Add `array` to `arrays` and return its name there, which is numbered: different paths can look the same."""
    if array.dtype.hasobject:
        raise RunError(f"state at {path!r} is an array of objects; a checkpoint holds arrays of numbers or strings")
    name = f"{len(arrays)}.{re.sub(r'[^0-9A-Za-z_.-]', '_', path[-200:])}"
    arrays[name] = array
    return name


def _unpack(value: Any, arrays: dict[str, Array], segments: Path) -> Any:
    if isinstance(value, list):
        return [_unpack(item, arrays, segments) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__scalar__" in value:
        return arrays[value["__scalar__"]][()]
    if "__tuple__" in value:
        return tuple(_unpack(item, arrays, segments) for item in value["__tuple__"])
    if "__items__" in value:
        return {_unpack(key, arrays, segments): _unpack(item, arrays, segments) for key, item in value["__items__"]}
    if "__segment__" in value:
        path = segments / f"{value['__segment__']}.npz"
        return Segment(value["__segment__"], lambda: _arrays(path))
    return {key: _unpack(item, arrays, segments) for key, item in value.items()}


def _save_arrays(path: Path, arrays: dict[str, Array], compress: bool = False) -> None:
    # numpy.savez would mistake an array named `file` or `allow_pickle` for one of its own arguments.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            if compress:
                archive.writestr(info, _npy(array), zipfile.ZIP_DEFLATED, compresslevel=1)
                continue
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


def _arrays(path: Path) -> dict[str, Array]:
    with path.open("rb") as file, np.load(file, allow_pickle=False, max_header_size=LONGEST_HEADER) as content:
        return dict(content)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk_message(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"disk full while writing checkpoint {folder}; the previous one is kept: free space "
            "(or set checkpoint.keep=1) and resume"
        )
    return f"cannot write checkpoint {folder}: {error.strerror}; the previous one is kept: fix the folder and resume"
