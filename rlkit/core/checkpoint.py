"""Checkpoints: plain data in a folder that is safe to load from a stranger, because nothing is pickled.

A checkpoint is ``state.json`` (the tree), ``arrays.npz`` (its arrays) and, for what is large and only grows,
``segments/<name>.npz``: a segment that the previous checkpoint already holds is linked, not written again.
``manifest.json``, with the SHA-256 of every file, comes last; a folder without one is incomplete.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from rlkit.core.manifest import REQUIRED, Manifest, ManifestError, read_manifest
from rlkit.core.stored_state import UNREADABLE, Segment, pack, read_arrays, unpack, unpacked_bytes, write_arrays
from rlkit.core.types import Array, RunError, State, a_kind

STEP = re.compile(r"0|[1-9][0-9]*")
"""The name of a checkpoint's folder."""


class CheckpointError(RunError):
    """A checkpoint that cannot be used; the message names it and the problem."""


class SegmentError(CheckpointError):
    """A checkpoint of which only segments are damaged."""


class Store:
    """The checkpoints of one run, by step: the newest `keep` complete ones."""

    def __init__(self, directory: Path, keep: int = 1, warn: Callable[[str], None] = lambda message: None):
        self.directory = directory
        self._keep = keep
        self._warn = warn
        self._linked_from = 0  # the first step whose segments may be linked

    def steps(self) -> list[int]:
        """Return the steps of the complete checkpoints, oldest first."""
        return sorted(int(path.name) for path in self._folders() if _has_manifest(path))

    def save(self, step: int, state: State) -> Path:
        """Write a checkpoint and drop the oldest beyond `keep`, and remains of older ones.

        Raises:
            RunError: `state` is not plain data, or the disk is full or not writable; earlier checkpoints are kept.
        """
        temporary = self.directory / f".tmp-{step}"
        final = self.directory / str(step)
        try:
            _delete(temporary)
            temporary.mkdir(parents=True)
            _write(temporary, step, state, self._previous(step))
            _delete(final)
            temporary.rename(final)
        except OSError as error:
            raise RunError(_disk_message(error, final)) from error
        finally:
            with suppress(OSError):
                _delete(temporary)
        self.retain(self.steps()[-self._keep :])
        self._clean(step)
        return final

    def load(self, step: int, *, segments: bool = True) -> State:
        """Return the state of the checkpoint at `step` after verifying its hashes; without `segments`, not theirs.

        Raises:
            CheckpointError: it is missing, damaged or not an rlkit checkpoint.
            SegmentError: only segments are damaged.
        """
        folder = self.directory / str(step)
        verify(folder, segments=segments)
        return _read(folder)

    def load_newest(
        self,
        usable: Callable[[State], bool] = lambda state: True,
        remedy: str = "start the run again",
        *,
        segments: bool = True,
        without_segments: str = "start the run again",
    ) -> tuple[int, State]:
        """Return (step, state) of the newest checkpoint that is complete and `usable`; warn of those that are skipped.

        Args:
            usable: whether a state is; it may raise a `CheckpointError` that says why not.
            remedy: for the user, where there are only unusable ones.
            segments: they must be whole too.
            without_segments: for the user, where there are only ones of which segments are damaged.

        Raises:
            CheckpointError: there is none.
        """
        end = "start the run again"
        for folder in self._incomplete():
            self._warn(f"checkpoint {folder} is incomplete and was ignored")
        for step in reversed(self.steps()):
            try:
                state = self.load(step, segments=segments)
                if usable(state):
                    return step, state
                end = remedy
            except CheckpointError as error:
                self._warn(f"{_named(error, self.directory / str(step))}; using the one before it")
                end = without_segments if isinstance(error, SegmentError) else end
        raise CheckpointError(f"no usable checkpoint in {self.directory}; {end}")

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints after `step`, and the remains of interrupted saves."""
        for path in self._folders():
            if int(path.name) > step:
                _delete(path)
        self._clean(step)

    def link_nothing_before(self, step: int) -> None:
        """Write all segments of checkpoints after `step` again, because their names mean something else from there."""
        self._linked_from = step + 1

    def retain(self, steps: Container[int]) -> None:
        """Delete the complete checkpoints that are not at `steps`.

        Raises:
            RunError: one cannot be deleted.
        """
        for step in self.steps():
            if step not in steps:
                folder = self.directory / str(step)
                try:
                    _delete(folder)
                except OSError as error:
                    raise RunError(f"cannot delete the old checkpoint {folder}: {error.strerror}") from error

    def _clean(self, step: int) -> None:
        """Delete what kills left of saves, and of deletions up to `step`."""
        old = [path for path in self._folders() if int(path.name) <= step and not _has_manifest(path)]
        for path in (*self.directory.glob(".tmp-*"), *old):
            with suppress(OSError):
                _delete(path)

    def _incomplete(self) -> list[Path]:
        """Return what is left of interrupted saves: those after the newest complete one."""
        newest = max(self.steps(), default=-1)
        unnamed = [path for path in self._folders() if int(path.name) > newest and not _has_manifest(path)]
        return sorted([*self.directory.glob(".tmp-*"), *unnamed])

    def _folders(self) -> list[Path]:
        """Return the folders of checkpoints, complete or not; links are none: what they point to is not the run's."""
        if self.directory.is_symlink() or not self.directory.is_dir():
            return []
        named = (path for path in self.directory.iterdir() if STEP.fullmatch(path.name))
        return [path for path in named if path.is_dir() and not path.is_symlink()]

    def _previous(self, step: int) -> Path | None:
        before = [known for known in self.steps() if self._linked_from <= known < step]
        return self.directory / str(before[-1]) if before else None


def _has_manifest(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _delete(folder: Path) -> None:
    """Delete a folder, or a link or file in its place; the manifest goes first, so that what a kill leaves is known."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.is_dir():
        (folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(folder)


def verify(folder: Path, *, segments: bool = True) -> None:
    """Check every file of a checkpoint against its manifest; without `segments`, all but those.

    Raises:
        CheckpointError: a file is missing or changed, or this is not an rlkit checkpoint.
        SegmentError: only segments are damaged.
    """
    files = _manifest(folder).files
    for name in REQUIRED:
        if (fault := _fault(folder, name, files[name])) is not None:
            raise CheckpointError(fault)
    for name in sorted(files.keys() - REQUIRED) if segments else ():
        if (fault := _fault(folder, name, files[name])) is not None:
            raise SegmentError(fault)


def _fault(folder: Path, name: str, digest: str) -> str | None:
    path = folder / name
    if not path.is_file():
        return f"checkpoint {folder} is damaged: {name} is missing"
    try:
        return None if _sha256(path) == digest else f"checkpoint {folder} is damaged: {name} does not match its SHA-256"
    except OSError as error:
        return f"checkpoint {folder} is damaged: {name}: {error.strerror}"


def _manifest(folder: Path) -> Manifest:
    try:
        return read_manifest(folder / "manifest.json")
    except ManifestError as error:
        raise CheckpointError(f"{folder} is not an rlkit checkpoint: {error}") from error


def _write(folder: Path, step: int, state: State, previous: Path | None) -> None:
    arrays: dict[str, Array] = {}
    segments: dict[str, Segment] = {}
    tree = pack(state, "", arrays, segments)
    (folder / "state.json").write_text(json.dumps(tree))
    write_arrays(folder / "arrays.npz", arrays)
    files = {name: _sha256(folder / name) for name in REQUIRED}
    unpacked: dict[str, int] = {}
    known = _known(previous)
    for segment in segments.values():
        name = f"segments/{segment.name}.npz"
        if previous is None or name not in known.files or not _link(previous / name, folder / name):
            _write_segment(segment, folder / name)
            files[name] = _sha256(folder / name)
        else:
            files[name] = known.files[name]
        if segment.compress or name in known.unpacked:
            unpacked[name] = unpacked_bytes(folder / name)
    (folder / "manifest.json").write_text(Manifest(files, unpacked).text(step))


def _write_segment(segment: Segment, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    write_arrays(path, segment.read(), segment.compress)


def _known(previous: Path | None) -> Manifest:
    """Return the files that may be linked; none if the previous checkpoint's manifest is damaged."""
    with suppress(CheckpointError):
        return Manifest({}, {}) if previous is None else _manifest(previous)
    return Manifest({}, {})


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
    manifest = _manifest(folder)
    try:
        tree = json.loads((folder / "state.json").read_text())
        state = unpack(tree, read_arrays(folder / "arrays.npz"), lambda name: _segment(folder, name, manifest))
    except UNREADABLE as error:
        raise CheckpointError(f"checkpoint {folder} cannot be read: {_shown(error)}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"checkpoint {folder} cannot be read: its state is {a_kind(state)}, not a dict")
    return state


def _segment(folder: Path, name: str, manifest: Manifest) -> Segment:
    """Return a segment that is read when it is wanted, if the manifest names it.

    Raises:
        KeyError: it does not.
    """
    file = f"segments/{name}.npz"
    manifest.files[file]

    def read() -> dict[str, Array]:
        try:
            return read_arrays(folder / file, manifest.unpacked.get(file))
        except UNREADABLE as error:
            raise CheckpointError(f"checkpoint {folder} cannot be read: {file}: {_shown(error)}") from error

    return Segment(name, read, compress=file in manifest.unpacked)


def _named(error: CheckpointError, folder: Path) -> str:
    line = str(error)
    return line if str(folder) in line else f"checkpoint {folder} cannot be used: {line}"


def _shown(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}"[:300].split())


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
