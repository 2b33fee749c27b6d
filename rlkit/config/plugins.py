"""Configuration folders of other packages, declared by entry points; a broken plugin is named and skipped.

A distribution declares an entry point in the group ``rlkit.conf`` that names a package of YAML groups
(``env/my_maze.yaml``, ``agent/…``). Entry points are read by commands, never when rlkit is imported.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from rlkit.core.ranges import shown
from rlkit.core.types import UsageError

GROUP = "rlkit.conf"
CORE = "rlkit"
SEARCHPATH = "hydra.searchpath"


class Origin(NamedTuple):
    """A folder of configuration groups, and its package."""

    distribution: str
    module: str
    folder: Path


class Plugin(NamedTuple):
    """An entry point of a distribution, working or not."""

    name: str
    distribution: str
    module: str
    folder: Path  # the current one if the plugin is broken
    error: str | None


class Entry(NamedTuple):
    """One YAML file of a group."""

    group: str
    name: str
    origin: Origin
    path: Path

    @property
    def summary(self) -> str:
        """Return the file's first comment, its description in one line."""
        for line in self.path.read_text("utf-8", "replace").splitlines():
            text = line.removeprefix("#").strip()
            if line.startswith("#") and not text.startswith("@package"):
                return text
        return ""

    @property
    def verb(self) -> str:
        """Return the verb that a preset is for, from the groups that it, or a preset that it extends, chooses from."""
        text = self.path.read_text("utf-8", "replace")
        if {"learner", "data"} & set(re.findall(r"^  - override /(\w+):", text, re.MULTILINE)):
            return "fit"
        begun = {*re.findall(r"^  - (?:/experiment/)?(\w+)$", text, re.MULTILINE)} - {"_self_", self.name}
        verbs = (entry.verb for entry in entries(self.group) if entry.name in begun) if begun else ()
        return "fit" if "fit" in verbs else "train"


def origins() -> list[Origin]:
    """Return rlkit's own folder and those of the plugins that work; broken ones are named on stderr."""
    return [_core(), *_plugins()]


def searched(words: Sequence[str]) -> list[Origin]:
    """Return the folders and packages that the ``hydra.searchpath=[…]`` among `words` names.

    Raises:
        UsageError: one does not exist.
    """
    listed = [word.partition("=")[2].strip("[]").split(",") for word in words if word.startswith(f"{SEARCHPATH}=")]
    found = []
    for place in (place.strip(" '\"") for places in listed for place in places):
        schema, _, path = place.rpartition("://")
        folder = folder_of(schema or "file", path)
        if folder is None or not _is_folder(folder):
            raise UsageError(f"{SEARCHPATH}: there is no folder {shown(path)}; write {SEARCHPATH}=[file://folder]")
        found.append(Origin(place, path, folder))
    return found


def entries(group: str | None = None, words: Sequence[str] = ()) -> list[Entry]:
    """Return the YAML files of `group`, or of all groups, sorted by name within each origin.

    Those in the folders that the `words` of a command line name are included; errors are those of `searched`.
    """
    pattern = f"{group or '*'}/*.yaml"
    return [
        Entry(path.parent.name, path.stem, origin, path)
        for origin in [*origins(), *searched(words)]
        for path in sorted(origin.folder.glob(pattern))
        if not path.stem.startswith("_")
    ]


def refuse_doubles() -> None:
    """Refuse a name that two origins define, because it is ambiguous.

    Raises:
        UsageError: there is such a name; the message names both files.
    """
    owners: dict[tuple[str, str], Entry] = {}
    for entry in entries():
        first = owners.setdefault((entry.group, entry.name), entry)
        if first.origin != entry.origin:
            raise UsageError(
                f"{entry.group}={entry.name} is defined by both {first.origin.distribution} ({first.path}) and "
                f"{entry.origin.distribution} ({entry.path}); uninstall one of them or rename its file"
            )


def _core() -> Origin:
    return Origin(CORE, "rlkit.conf", _folder("rlkit.conf"))


@cache
def _plugins() -> tuple[Origin, ...]:
    for plugin in installed():
        if plugin.error is not None:
            line = f"plugin {plugin.name!r} of {plugin.distribution} is broken and was skipped: {plugin.error}"
            print(f"rlkit: {line}", file=sys.stderr)
    working = (plugin for plugin in installed() if plugin.error is None)
    return tuple(Origin(plugin.distribution, plugin.module, plugin.folder) for plugin in working)


@cache
def installed() -> tuple[Plugin, ...]:
    """Return all plugins, broken ones with their error."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.value, point.name))
    return tuple(map(_tried, points))


def _tried(point: EntryPoint) -> Plugin:
    distribution = point.dist.name if point.dist else point.name
    try:
        return Plugin(point.name, distribution, point.value, _load(point), None)
    except (Exception, SystemExit) as error:  # a plugin can fail in any way and must not stop a run
        return Plugin(point.name, distribution, point.value, Path(), repr(error))


def _load(point: EntryPoint) -> Path:
    importlib.import_module(point.value)
    return _folder(point.value)


def folder_of(schema: str, path: str) -> Path | None:
    """Return the folder of one of Hydra's sources, a ``file`` or a ``pkg``; None if it is neither or does not exist."""
    if schema == "file":
        return Path(path)
    try:
        spec = importlib.util.find_spec(path) if schema == "pkg" and path else None
    except ImportError:  # a package around it
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


def _folder(module: str) -> Path:
    folder = folder_of("pkg", module)
    if folder is None:
        raise UsageError(f"{module} is not a package of YAML files; is it installed?")
    return folder
