"""Places that a file may name: addresses that are downloaded from, and files.

An address must be one of a YAML file of rlkit or of an installed plugin, or be typed in ``trust=``. A file is the
user's own affair, as it is only read, unless it is a device or says what the system or a process knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rlkit.config.trust import Trust, parts, yaml_texts
from rlkit.core.types import UsageError

ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]*://")
"""How an address begins."""

SYSTEM = ("/dev", "/proc", "/sys")
"""Folders of files that are no data."""


def require_places(node: Any, source: Path | str, trust: Trust, path: str = "") -> None:
    """Refuse addresses that nobody vouches for, and files of the system.

    Args:
        node: plain data of a file.
        source: the file, for messages.
        trust: what `rlkit.config.trust.packages` returned.
        path: of the node, for messages.

    Raises:
        UsageError: there is one; the message has the key, the value and the remedy.
    """
    for key, value in parts(node):
        inner = f"{path}.{key}".lstrip(".")
        if not isinstance(value, str):
            require_places(value, source, trust, inner)
        elif (ADDRESS.match(value) or key == "url") and value not in trust and not _is_in_yaml(value):
            known = "no YAML file of rlkit or of an installed plugin has"
            raise UsageError(f"{source}: {inner} is {value}, which {known}; if you know it: trust={value}")
        elif "/" in value and _is_of_system(value):
            raise UsageError(f"{source}: {inner} is {value}, which holds no data but the system's: no file may name it")


def _is_of_system(path: str) -> bool:
    try:
        real = os.path.realpath(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError):  # no path at all
        return False
    return any(f"{real}/".startswith(f"{folder}/") for folder in SYSTEM)


@cache
def _is_in_yaml(value: str) -> bool:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return any(value in text and value in _texts(yaml.load(text, loader)) for _, text in yaml_texts())


def _texts(node: Any) -> Iterator[str]:
    for _, value in parts(node):
        if isinstance(value, str):
            yield value
        yield from _texts(value)
