"""Locks of the system on files: whoever dies, however it dies, lets go."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlkit.core.types import RunError


class FileLock:
    """A lock that processes hold one after the other, also those of machines that share the folder."""

    def __init__(self, path: Path):
        """Name the file, which is made where it is not there."""
        self._path = path
        self._number: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock.

        Raises:
            RunError: the file system has no locks.
        """
        number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(number, self._path, fcntl.LOCK_EX)
        except BaseException:
            os.close(number)
            raise
        self._number = number
        return True

    def claim(self) -> bool:
        """Take the lock if nobody has it; return whether that is so.

        Raises:
            RunError: the file system has no locks.
        """
        number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(number, self._path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            return False
        except BaseException:
            os.close(number)
            raise
        self._number = number
        return True

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        if self._number is not None:
            os.close(self._number)
            self._number = None


def _lock(number: int, path: Path, how: int) -> None:
    try:
        fcntl.flock(number, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise RunError(
            f"{path.parent} has no locks ({(error.strerror or str(error)).lower()}), by which workers of a search know "
            "of each other: choose a name= in a folder of another file system"
        ) from error


@contextmanager
def held(lock: FileLock) -> Iterator[None]:
    """Hold a lock."""
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
