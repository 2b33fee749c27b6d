"""Files read and written whole: none that never ends is read, and no file is lost to one that is half written."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rlkit.core.types import RunError, UsageError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_bytes(path: Path, *, pipes: bool = False) -> bytes:
    """Return the content of a file.

    Args:
        path: the file.
        pipes: a pipe is read, too, as the shell's ``<(command)`` makes it; else it is refused: it may never end.

    Raises:
        OSError: it cannot be read; the message of one that is no file says so.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (pipes and stat.S_ISFIFO(mode))):
        raise OSError(0, "it is no regular file, so it may never end", str(path))
    return path.read_bytes()


def require_writable(path: Path, key: str, like: str) -> None:
    """Refuse a file that could not be written in the end, before anything is computed for it.

    Args:
        path: the file, whose folder is made.
        key: that names it on the command line.
        like: a name for such a file, for the remedy.

    Raises:
        UsageError: it is a folder, or nothing can be written there.
    """
    if path.is_dir():
        raise UsageError(f"{key}={path} is a folder; name a file, e.g. {key}={path / like}")
    with _explained(path, key):
        if path.exists():
            path.open("a").close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_replaceable(path):
            beside = _beside(path)
            beside.touch()
            beside.unlink()


@contextmanager
def writing(path: Path, key: str = "") -> Iterator[IO[str]]:
    """Open a file of text, which takes the place of the one that is there only when it is complete.

    Args:
        path: the file, whose folder is made.
        key: that names it on the command line; empty where none does.

    Raises:
        UsageError: it cannot be written; the file that was there is as before.
        RunError: the same of a file that no key names.
    """
    with _explained(path, key):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_replaceable(path):
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        # Through a link the file that it names is replaced, not the link.
        target = path.resolve()
        beside = _beside(target)
        try:
            with beside.open("w", encoding="utf-8", newline="") as file:
                yield file
            with suppress(OSError):
                beside.chmod(stat.S_IMODE(target.stat().st_mode))
            beside.replace(target)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, key: str) -> None:
    """Write a file that the key `key` names, which takes the place of the one that is there in one step.

    Raises:
        UsageError: it cannot be written; the file that was there is as before.
    """
    with _explained(path, key):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_replaceable(path):
            path.write_bytes(content)
            return
        beside = _beside(path)
        try:
            beside.write_bytes(content)
            beside.replace(path.resolve())
        finally:
            beside.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file in one step, so that a kill leaves the old one or the new one.

    Raises:
        RunError: it cannot be written, or the disk is full.
    """
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        raise RunError(not_written(path, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def not_written(path: Path, error: OSError) -> str:
    """Return a line that says which file of a run could not be written, why, and what to do."""
    full = error.errno in FULL
    remedy = "free space there" if full else "make its folder writable, or choose another run_dir="
    return f"cannot write {path}: {(error.strerror or str(error)).lower()}; {remedy}"


def _is_replaceable(path: Path) -> bool:
    """Return whether another file can take its place: not so for /dev/stdout, or a pipe."""
    return path.is_file() or not path.exists()


def _beside(path: Path) -> Path:
    """Return the temporary file; its name is short, so that it is possible wherever that of `path` is."""
    return path.resolve().with_name(f".tmp-{os.getpid()}")


@contextmanager
def _explained(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not key:
            raise RunError(not_written(path, error)) from error
        reason = error.strerror or str(error)
        raise UsageError(f"{key}={path} cannot be written: {reason}; choose another {key}=") from error
