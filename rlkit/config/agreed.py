"""What the user has agreed to run: callables that a command of theirs has named, with the content of their files.

Kept outside of run folders, in the user's own folder for the state of programs, one small file for each name. A
stored configuration may name what is kept there, as long as the files are what they were: `rlkit.config.trust`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlkit.config import own_code
from rlkit.core.files import write_whole
from rlkit.core.types import RunError

KEPT = 50
"""Contents that are kept of each name, the newest."""

Content = Mapping[str, str]
"""The SHA-256 of each file, by its absolute path."""


def folder() -> Path:
    """Return the folder of agreements: ``$XDG_STATE_HOME/rlkit/agreed``, by default below ``~/.local/state``."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "rlkit" / "agreed"


def agree(names: Iterable[str]) -> None:
    """Keep names that a command of the user's has named, with the present content of their files.

    Where the folder cannot be written, nothing is kept, and a later command needs ``trust=``.
    """
    for name in names:
        content = content_of(name)
        before = _contents(name)
        if content and content not in before:
            kept = [*before, content][-KEPT:]
            with suppress(OSError, RunError):
                folder().mkdir(parents=True, exist_ok=True)
                write_whole(_path(name), json.dumps({"name": name, "contents": kept}, indent=1) + "\n")


def is_agreed(name: str, folders: Sequence[Path] = ()) -> bool:
    """Return whether the user has named this, and the files that it executes are still what they were."""
    chain = [str(path) for path in own_code.files_of(name, folders)]
    contents = [content for content in _contents(_absolute(name)) if set(chain) <= set(content)] if chain else []
    return any(content == _digests(map(Path, content)) for content in contents)


def is_known(name: str) -> bool:
    """Return whether the user has named this at any time."""
    return bool(_contents(_absolute(name)))


def content_of(name: str, folders: Sequence[Path] = ()) -> Content:
    """Return the content of the files that a name executes, and of those beside them that these use if loaded."""
    chain = own_code.files_of(name, folders)
    own = own_code.folder_of(name, chain)
    return _digests([*chain, *(own_code.helpers(chain, own) if own is not None else ())])


def changed(content: Content) -> list[str]:
    """Return the files whose content is another by now."""
    now = _digests(map(Path, content))
    return [path for path, digest in content.items() if now.get(path) != digest]


def _absolute(name: str) -> str:
    """Return a name whose file has moved into the working folder as the file's."""
    file = own_code.file_in(name)
    return name if file is None else f"{file.resolve()}:{name.rpartition(':')[2]}"


def _digests(files: Iterable[Path]) -> dict[str, str]:
    found = {}
    for path in files:
        with suppress(OSError):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _path(name: str) -> Path:
    return folder() / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _contents(name: str) -> list[dict[str, str]]:
    try:
        kept: Any = json.loads(_path(name).read_text())
        return [dict(content) for content in kept["contents"]] if kept["name"] == name else []
    except (OSError, ValueError, LookupError, TypeError):
        return []
