"""Run folders of somebody else: nothing in them is a way out of them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from rlkit.core.types import UsageError

FOREIGN = ("wandb", "tensorboard")
"""Folders in a run folder that others fill, with links of their own."""


def require_own_files(directory: Path) -> None:
    """Refuse links that lead out of a run folder, where files would be read, shown or overwritten, and pipes.

    In the folders of others what rlkit appends to is no link either, and nothing says where W&B sends to.

    Raises:
        UsageError: there is one; the message has its path and the remedy.
    """
    root = directory.resolve()
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for path in (here / name for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UsageError(f"{path} is a link that leads out of its run folder; replace it by what it points to")
            if _is_special(path):
                raise UsageError(f"{path} is no file, but a pipe, a socket or a device; delete it")
        folders[:] = [name for name in folders if here != root or name not in FOREIGN]
    if (log := root / "wandb" / "uplink.log").is_symlink():
        raise UsageError(f"{log} is a link, and would be written to; delete it")
    if (settings := root / "wandb" / "settings").exists():
        raise UsageError(f"{settings} says where W&B sends to, which no run folder may; delete it")


def _is_special(path: Path) -> bool:
    """Return whether a path is neither a file, a folder nor a link; one that is gone by now is not."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    return False
