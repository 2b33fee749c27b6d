"""versions.json: a run folder's own id, and the versions of all that the run began with."""

from __future__ import annotations

import json
import platform
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlkit.config import agreed, own_code
from rlkit.config.trust import own_names
from rlkit.core.distribution import DISTRIBUTION
from rlkit.core.types import printable

FILE = "versions.json"

ID = re.compile(r"[0-9A-Za-z_-]{1,64}")

PACKAGES = (
    "numpy",
    "gymnasium",
    "ale-py",
    "opencv-python-headless",
    "torch",
    "hydra-core",
    "omegaconf",
    "wandb",
    "av",
    "matplotlib",
    "scikit-learn",
)


SOURCES = "sources"
"""The key of the files that the run's own classes come from."""


def described(values: Mapping[str, Any]) -> str:
    """Return the content of a new folder's versions.json, for a run of a configuration as plain data."""
    named = list(dict.fromkeys(name.name for name in own_names(values)))
    sources = {SOURCES: {name: agreed.content_of(name) for name in named}} if named else {}
    return json.dumps({"id": secrets.token_hex(8), **versions(), **sources}, indent=1) + "\n"


def is_whole(directory: Path) -> bool:
    """Return whether a folder has a versions.json with an id."""
    return bool(_read(directory))


def identity(directory: Path) -> str:
    """Return the folder's own random id, which a resumed run keeps; "" where versions.json is missing or damaged."""
    return str(_read(directory).get("id", ""))


def without_sources(directory: Path) -> str:
    """Return the content of a versions.json without the files, on this machine, that the run's classes came from."""
    values = _read(directory)
    return json.dumps({name: values[name] for name in ("id", "python", "rlkit", *PACKAGES) if name in values}) + "\n"


def changes(directory: Path) -> list[str]:
    """Return what has another version now than when the run began, such as ``numpy 2.1.3 (now 2.2.0)``.

    Those of the folder may be somebody else's text, of which the beginning is returned as it can be printed.
    """
    then = {name: value for name, value in _read(directory).items() if name in ("python", "rlkit", *PACKAGES)}
    now = versions()
    both = ((name, value, now.get(name, "none")) for name, value in then.items())
    other = [f"{name} {printable(str(old)[:30])} (now {value})" for name, old, value in both if old != value]
    return [*other, *(f"another {Path(file).name}" for file in changed_files(directory))]


def changed_files(directory: Path) -> list[str]:
    """Return the files that the run's own classes came from and that have changed since it began, or are gone."""
    return list(dict.fromkeys(file for files in _sources(directory).values() for file in agreed.changed(files)))


def source_folders(directory: Path) -> list[Path]:
    """Return the folders in which the modules of the run's own classes lay when it began."""
    found = (own_code.folder_of(name, [Path(file) for file in files]) for name, files in _sources(directory).items())
    return list(dict.fromkeys(folder for folder in found if folder is not None))


def _sources(directory: Path) -> dict[str, dict[str, str]]:
    """Return the content of files by the name of the class, which a stranger may have written."""
    sources = _read(directory).get(SOURCES)
    return {name: files for name, files in sources.items() if _is_content(files)} if isinstance(sources, dict) else {}


def _is_content(files: Any) -> bool:
    return isinstance(files, dict) and all(isinstance(value, str) and "\0" not in file for file, value in files.items())


def _read(directory: Path) -> Mapping[str, Any]:
    try:
        values = json.loads((directory / FILE).read_text())
        return values if ID.fullmatch(values["id"]) else {}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run may depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for name, package in (("rlkit", DISTRIBUTION), *((package, package) for package in PACKAGES)):
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    return found
