"""Plots and videos of runs, inside a page or beside it."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from rlkit.reporting.columns import AnyRun
from rlkit.reporting.tables import breakable
from rlkit.runs.run import Run

SHOWN = 2
"""Videos of a run that are shown; a run can have one for each episode."""

FOREIGN = ("wandb", "tensorboard", "checkpoints")
"""Folders in a run folder that others fill."""


class Sources(Protocol):
    """Where a page has its pictures and videos from."""

    def image(self, path: Path, folder: Path) -> str:
        """Return the address of a picture in a folder."""
        ...

    def video(self, path: Path, run: AnyRun) -> tuple[str, str] | None:
        """Return the addresses of a video and of a still of it, which may be empty; None: it can only be linked."""
        ...

    def link(self, path: Path) -> str:
        """Return a link to a file or folder as HTML."""
        ...


class Embedded:
    """Files inside the page while there is room, else as links from it.

    Args:
        page: the file of the page, which links start from.
        room: bytes of videos that the page may hold.
    """

    def __init__(self, page: Path, room: float):
        self._page = page
        self._room = room

    def image(self, path: Path, folder: Path) -> str:
        """Return the picture itself."""
        return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"

    def video(self, path: Path, run: AnyRun) -> tuple[str, str] | None:
        """Return the video itself and a frame of it, or None where there is no room left."""
        size = path.stat().st_size
        if size > self._room:
            return None
        self._room -= size
        return f"data:video/mp4;base64,{b64encode(path.read_bytes()).decode()}", _poster(path)

    def link(self, path: Path) -> str:
        """Return a link from the page."""
        relative = Path(os.path.relpath(path.resolve(), self._page.resolve().parent)).as_posix()
        return f'<a href="{escape(quote(relative))}">{escape(path.name)}</a>'


class Media:
    """Turns files into HTML."""

    def __init__(self, sources: Sources):
        """Have the files from `sources`."""
        self._sources = sources

    def plots(self, run: AnyRun) -> str:
        """Return the plots in a run folder."""
        return "".join(self.plot(path, run.directory) for path in plot_paths(run))

    def videos(self, run: Run) -> str:
        """Return the run's videos: those of the best agent, then the latest."""
        paths = video_paths(run)
        more = len(paths) - SHOWN
        notes = [""] * min(len(paths), SHOWN)
        if more > 0:
            notes[-1] = f" ({more} more in {self._sources.link(paths[SHOWN].parent)})"
        return "".join(self._video(path, run, more) for path, more in zip(paths[:SHOWN], notes, strict=True))

    def plot(self, path: Path, folder: Path) -> str:
        """Return a plot in a folder."""
        name = path.relative_to(folder).as_posix()
        alt = escape(f"{name} of {folder.name}")
        return (
            f'<figure><button type="button" class="zoom" aria-label="enlarge or shrink {alt}">'
            f'<img alt="{alt}" src="{self._sources.image(path, folder)}"></button>{_caption(name, folder)}</figure>'
        )

    def _video(self, path: Path, run: Run, more: str) -> str:
        found = self._sources.video(path, run)
        if found is None:
            said = f"{self._sources.link(path)} ({path.stat().st_size / 1e6:.1f} MB, beside this page)"
            return f'<figure class="linked"><p>{said}</p>{_caption(path.name, run.directory, more)}</figure>'
        source, still = found
        label = escape(f"{path.name} of {run.directory.name}")
        poster = f' poster="{still}"' if still else ""
        shown = f'aria-label="{label}"{poster} src="{source}"'
        video = f'<video controls muted loop playsinline preload="metadata" {shown}></video>'
        return f"<figure>{video}{_caption(path.name, run.directory, more)}</figure>"


def plot_paths(run: AnyRun) -> list[Path]:
    """Return the png files in a run folder."""
    found = (path for path in sorted(run.directory.rglob("*.png")) if not _foreign(path, run.directory))
    return own_files(found, run.directory)


def video_paths(run: Run) -> list[Path]:
    """Return the mp4 files of a run, those of the best agent first, then the latest."""
    # Beside the folder of runs that this one lies in, wherever the command is given.
    own = run.videos_in(run.directory.resolve().parent.parent / "videos")
    folder = own if own.is_dir() else run.videos
    own_videos = own_files(folder.glob("[!.]*.mp4"), folder.parent)
    paths = sorted([*own_videos, *own_files(run.directory.glob("*.mp4"), run.directory)], reverse=True)
    return sorted(paths, key=lambda path: not path.name.startswith("best"))


def own_files(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Return the files in a folder, without links that lead out of it: the page would hold what they point to."""
    root = folder.resolve()
    return [path for path in paths if path.is_file() and path.resolve().is_relative_to(root)]


def _poster(path: Path) -> str:
    """Return the frame that is shown before a video plays, one from its middle; empty where there is none."""
    from rlkit.rendering.video import still

    with suppress(Exception):  # whatever PyAV raises for a file that is not a video
        return f"data:image/jpeg;base64,{b64encode(still(path)).decode()}"
    return ""


def _foreign(path: Path, directory: Path) -> bool:
    return path.relative_to(directory).parts[0] in FOREIGN


def _caption(name: str, folder: Path, more: str = "") -> str:
    return f"<figcaption>{breakable(folder.name)} · {breakable(name)}{more}</figcaption>"
