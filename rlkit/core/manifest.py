"""The manifest of a checkpoint: its files, each with its SHA-256; it is written last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = "rlkit-checkpoint-1"

REQUIRED = ("state.json", "arrays.npz")
"""The files that each checkpoint has, beside its manifest."""

SEGMENT_FILE = re.compile(r"segments/[A-Za-z0-9_][\w.-]*\.npz", re.ASCII)
"""The name of a segment's file."""


class ManifestError(Exception):
    """A file that is no manifest of this version of rlkit; the message says why."""


class Manifest(NamedTuple):
    """What a checkpoint says of its files, by name."""

    files: dict[str, str]  # SHA-256
    unpacked: dict[str, int]  # bytes of the arrays in those that are compressed

    def text(self, step: int) -> str:
        """Return it as the JSON of ``manifest.json``; `step` is that of the checkpoint."""
        more = {"unpacked": self.unpacked} if self.unpacked else {}
        return json.dumps({"format": FORMAT, "step": step, "files": self.files, **more}, indent=1, sort_keys=True)


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file, which may be somebody else's.

    Raises:
        ManifestError: it is none, or of another version, or names files that no checkpoint has.
    """
    try:
        content = json.loads(path.read_text())
        found, files, unpacked = content["format"], dict(content["files"]), dict(content.get("unpacked", {}))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"{type(error).__name__} in {path.name}") from error
    if found != FORMAT:
        raise ManifestError(f"its format is {_short(found)}; this rlkit reads {FORMAT!r}")
    for name in REQUIRED:
        if name not in files:
            raise ManifestError(f"{path.name} does not name {name}")
    for name in files:
        if name not in REQUIRED and not SEGMENT_FILE.fullmatch(name):
            raise ManifestError(f"{path.name} names {_short(name)}, which is no file of a checkpoint")
    for name, size in unpacked.items():
        if type(size) is not int or size < 0:
            raise ManifestError(f"{path.name} says that {_short(name)} unpacks to {_short(size)}: no number of bytes")
    return Manifest(files, unpacked)


def _short(value: Any) -> str:
    return repr(value)[:100]
