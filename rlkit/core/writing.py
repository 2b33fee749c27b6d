"""Files written in one step, and what is said where they cannot be."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from rlkit.core.types import RunError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step, so that a kill leaves the old one or the new one.

    Raises:
        RunError: it cannot be written, or the disk is full.
    """
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunError(not_written(path, error)) from error


def not_written(path: Path, error: OSError) -> str:
    """Return a line that says which file of a run could not be written, why, and what to do."""
    full = error.errno in FULL
    remedy = "free space there" if full else "make its folder writable, or choose another run_dir="
    return f"cannot write {path}: {(error.strerror or str(error)).lower()}; {remedy}"
