"""The folder of a run's videos: ``videos/<name>``, or with a number behind it where that is another run's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

OWNER = ".run"
"""The file in such a folder that holds the id of its run."""


def videos_of(base: Path, name: str, identity: str) -> Path:
    """Return the folder in `base` for the videos of the run called `name`, of that `identity`."""
    folder, number = base / name, 1
    while identity and _owner(folder) not in ("", identity):
        number += 1
        folder = base / f"{name}-{number}"
    return folder


def claim_videos(base: Path, name: str, identity: str) -> Path:
    """Return the folder as `videos_of` does, marked as that of this run if it can be written."""
    folder = videos_of(base, name, identity)
    with suppress(OSError):  # whoever writes a video there says why it cannot be
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / OWNER).open("x") as file:
            file.write(identity)
    return videos_of(base, name, identity)


def _owner(folder: Path) -> str:
    path = folder / OWNER
    with suppress(OSError, ValueError):
        return path.read_text()[:100] if path.is_file() else ""
    return ""
