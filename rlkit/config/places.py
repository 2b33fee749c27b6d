"""Places that a file may name: addresses that are downloaded from, and files.

An address must be one of a YAML file of rlkit or of an installed plugin, or be typed in ``trust=``. A file is the
user's own affair, as it is only read, unless it is a device or says what the system or a process knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rlkit.core.types import UsageError

ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]*://")
"""How an address begins."""

SYSTEM = ("/dev", "/proc", "/sys")
"""Folders of files that are no data."""


def require_places(texts: Iterable[tuple[str, str]], source: Path | str, is_known: Callable[[str], bool]) -> None:
    """Refuse addresses that nobody vouches for, and files of the system.

    Args:
        texts: the dotted keys of a file, and what they are.
        source: the file, for messages.
        is_known: whether an address is somebody's.

    Raises:
        UsageError: there is one; the message has the key, the value and the remedy.
    """
    for path, text in texts:
        if (ADDRESS.match(text) or path.rpartition(".")[2] == "url") and not is_known(text):
            known = "no YAML file of rlkit or of an installed plugin has"
            raise UsageError(f"{source}: {path} is {text}, which {known}; if you know it: trust={text}")
        if "/" in text and _is_of_system(text):
            raise UsageError(f"{source}: {path} is {text}, which holds no data but the system's: no file may name it")


def _is_of_system(path: str) -> bool:
    try:
        real = os.path.realpath(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError):  # no path at all
        return False
    return any(f"{real}/".startswith(f"{folder}/") for folder in SYSTEM)
