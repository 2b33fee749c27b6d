"""What the user has agreed to run: callables that a command of theirs has named, with the content of their files.

Kept outside of run folders, in the user's own folder for the state of programs, one small file for each name. A
stored configuration may name what is kept there, as long as the files are what they were: `rlkit.config.trust`. What
lies in installed packages, which may do anything with their arguments, it may name only with the same arguments.
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
from rlkit.config.injection import Named, is_closed
from rlkit.config.messages import OF_PROGRAM
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


def agree(names: Iterable[Named]) -> None:
    """Keep names that a command of the user's has named, with the present content of their files.

    Where the folder cannot be written, nothing is kept, and a later command needs ``trust=``.
    """
    for name in names:
        if content := content_of(name.name):
            _keep(_key(name), content)


def agree_to(place: str) -> None:
    """Keep a place that a command of the user's sends to, as `agree` keeps names."""
    _keep(place, {})


def is_agreed_to(place: str) -> bool:
    """Return whether a command of the user's has sent to a place."""
    return bool(_contents(place))


def is_agreed(name: Named, folders: Sequence[Path] = ()) -> bool:
    """Return whether the user has named this, and the files that it executes are still what they were."""
    if is_closed(name.name):
        return False
    chain = [str(path) for path in own_code.files_of(name.name, folders)]
    contents = _contents(_key(name, folders)) if chain else []
    return any(set(chain) <= set(content) and content == _digests(map(Path, content)) for content in contents)


def refusal(name: Named, source: Path | str) -> str:
    """Return the message for a file `source` that names what it may not."""
    if name.name.startswith(OF_PROGRAM):
        return own_code.only_in_program(name.name, f"{source}: {name.path.removesuffix('._target_')}")
    said, file = f"{source}: {name.path} is {name.name}", own_code.file_in(name.name)
    root = own_code.module_of(name.name).partition(".")[0]
    if file is not None and not file.is_file():
        return f"{said}, and that file is not there any more; put it back, or go to a folder that has {file.name}"
    known = "neither one of rlkit's classes nor an installed plugin's"
    if file is None and (not root.isidentifier() or is_closed(name.name)):
        return f"{said}, which is {known}: no file may name it"
    remedy = f"trust={_shortest(file)}" if file is not None else f"trust={root}"
    if _contents(_key(name)):
        why = "whose file, or one that it imports, has changed since you last named it in a command"
        return f"{said}, {why}; if you know the change: {remedy}"
    return f"{said}, which is {known}; if you know {'this file' if file is not None else 'its package'}: {remedy}"


def _shortest(file: Path) -> str:
    """Return a path as a user would type it here."""
    file = file.resolve()
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def content_of(name: str, folders: Sequence[Path] = ()) -> Content:
    """Return the content of the files that a name executes, and of those beside them that these use if loaded."""
    chain = own_code.files_of(name, folders)
    own = own_code.folder_of(name, chain)
    return _digests([*chain, *(own_code.helpers(chain, own) if own is not None else ())])


def changed(content: Content) -> list[str]:
    """Return the files whose content is another by now."""
    now = _digests(map(Path, content))
    return [path for path, digest in content.items() if now.get(path) != digest]


def _key(name: Named, folders: Sequence[Path] = ()) -> str:
    """Return what a name is kept as: a file that has moved into the working folder as the one there."""
    if (file := own_code.file_in(name.name)) is not None:
        return f"{file.resolve()}:{name.name.rpartition(':')[2]}"
    own = own_code.folder_of(name.name, own_code.files_of(name.name, folders))
    return f"{name.name} {name.arguments}" if own is None else name.name


def _keep(key: str, content: Content) -> None:
    before = _contents(key)
    if content not in before:
        kept = [*before, content][-KEPT:]
        with suppress(OSError, RunError):
            folder().mkdir(parents=True, exist_ok=True)
            write_whole(_path(key), json.dumps({"name": key, "contents": kept}, indent=1) + "\n")


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
