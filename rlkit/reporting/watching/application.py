"""What the server answers: the page, the list of runs, the sections of chosen ones, their videos and plots."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from html import escape
from pathlib import Path
from threading import Lock

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rlkit.core.types import printable
from rlkit.reporting.media import plot_paths, video_paths
from rlkit.reporting.page import asset
from rlkit.reporting.watching.comparison import Comparison, Section
from rlkit.reporting.watching.guard import Application, Guard
from rlkit.reporting.watching.live import LiveRun
from rlkit.reporting.watching.watched import WatchedRun, WatchedRuns

PATIENCE = 0.25
"""Seconds of an answer for reading files; what is left is read for the next one."""

MOST = 300
"""Chosen runs that are compared at once."""

TYPES = {".css": "text/css", ".js": "text/javascript", ".mp4": "video/mp4", ".png": "image/png"}
FRESH = {"cache-control": "no-store"}
KEPT = {"cache-control": "private, max-age=86400"}
"""For addresses that have the time of the file in them."""

SHELL = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<link rel="stylesheet" href="watch.css">
<script src="page.js" defer></script>
<script src="watch.js" defer></script>
</head>
<body class="watch">
<aside>
<h1>{title}</h1>
<p id="status" class="soft" role="status">Loading…</p>
<div class="choose">
<label>Filter <input id="filter" type="search" autocomplete="off" placeholder="name, agent, state"></label>
<div class="buttons" role="group" aria-label="choose runs">
<button type="button" id="newest">Newest</button>
<button type="button" id="matching">All that match</button>
<button type="button" id="none">None</button>
</div>
</div>
<ul id="runs" aria-label="runs"></ul>
<button type="button" id="more" hidden>Show more</button>
</aside>
<main id="report"></main>
<noscript><p>This page needs JavaScript; rlkit report writes one that does not.</p></noscript>
</body>
</html>
"""


class Server:
    """Answers requests about the runs in a folder.

    Args:
        folder: of the runs.
    """

    def __init__(self, folder: Path):
        self._entries = WatchedRuns(folder)
        self._comparison = Comparison()
        self._lock = Lock()  # answers are made one after the other: they read the same tables
        self._title = printable(folder.resolve().name)

    def routes(self) -> list[Route]:
        """Return what is answered where."""
        assets = ("page.css", "page.js", "watching/watch.css", "watching/watch.js")
        answers: dict[str, Callable[[Request], Response]] = {
            "/": self._page,
            **{f"/{name.rpartition('/')[2]}": partial(_asset, name) for name in assets},
            "/runs": self._runs,
            "/report": self._report,
            "/files/{id:int}/{name:path}": self._file,
            "/stills/{id:int}/{name:path}": self._still,
        }
        return [Route(path, _in_one_line(answer)) for path, answer in answers.items()]

    def _page(self, request: Request) -> Response:
        return Response(SHELL.format(title=escape(self._title)), media_type="text/html", headers=FRESH)

    def _runs(self, request: Request) -> Response:
        since = _number(request, "since") if request.query_params.get("epoch") == self._entries.epoch else 0
        with self._lock:
            self._entries.look(time.monotonic() + PATIENCE)
            answer = {
                "epoch": self._entries.epoch,
                "cursor": self._entries.cursor,
                "found": len(self._entries),
                "opened": self._entries.opened,
                "runs": self._entries.rows(since),
                "gone": self._entries.gone(since),
                "note": "" if self._entries.folder.is_dir() else "the folder is not there",
            }
        return JSONResponse(answer, headers=FRESH)

    def _report(self, request: Request) -> Response:
        had = set(request.query_params.get("have", "").split(","))
        with self._lock:
            entries = self._entries.chosen(_ids(request.query_params.get("runs", "")))
            chosen, deadline = entries[:MOST], time.monotonic() + PATIENCE
            for entry in chosen:
                entry.read(deadline)
            found, note = self._made(chosen)
            live = [entry.run.live for entry in chosen if entry.run is not None]
            unread, size = sum(one.unread for one in live), sum(one.size for one in live)
        if len(entries) > MOST:
            note = f"{len(entries):,} runs are chosen: the first {MOST} are shown"
        shown = [{"key": one.key, "tag": one.tag, **({} if one.tag in had else {"html": one.html})} for one in found]
        return JSONResponse({"sections": shown, "unread": unread, "size": size, "note": note}, headers=FRESH)

    def _made(self, entries: list[WatchedRun]) -> tuple[list[Section], str]:
        """Return the sections, and a line where something went wrong: what is shown then stays."""
        try:
            return self._comparison.sections(entries), ""
        except Exception as error:  # a folder may change or go in the middle, whatever that raises
            return [], f"not up to date: {printable(' '.join(f'{type(error).__name__}: {error}'.split()))}"

    def _file(self, request: Request) -> Response:
        path = self._path(request)
        return FileResponse(path, media_type=TYPES[path.suffix], headers=KEPT)

    def _still(self, request: Request) -> Response:
        from rlkit.rendering.video import still

        try:
            return Response(still(self._path(request)), media_type="image/jpeg", headers=KEPT)
        except HTTPException:
            raise
        except Exception as error:  # whatever PyAV raises for a file that is not a video
            raise HTTPException(404, "there is no still of this file") from error

    def _path(self, request: Request) -> Path:
        """Return the file that a request names, one of those that the page shows."""
        with self._lock:
            entries = self._entries.chosen([request.path_params["id"]])
            known = {name: path for entry in entries for name, path in _media(entry)}
        path = known.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "there is no such plot or video")
        return path


def _media(entry: WatchedRun) -> Iterator[tuple[str, Path]]:
    if entry.run is None:
        return
    for path in plot_paths(entry.run):
        yield path.relative_to(entry.directory).as_posix(), path
    if isinstance(entry.run, LiveRun):
        for path in video_paths(entry.run):
            yield path.name, path


def _asset(name: str, request: Request) -> Response:
    return Response(asset(name), media_type=TYPES[Path(name).suffix], headers={"cache-control": "no-cache"})


def _number(request: Request, key: str) -> int:
    text = request.query_params.get(key, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _ids(text: str) -> Iterator[int]:
    """Yield the ids of ``1,3-5``."""
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if all(end.isascii() and end.isdigit() and len(end) < 8 for end in (first, last or first)):
            yield from range(int(first), min(int(last or first), int(first) + 100_000) + 1)


def _in_one_line(endpoint: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Return an endpoint that answers with a line where it would fail: files may go at any moment."""

    def answered(request: Request) -> Response:
        try:
            return endpoint(request)
        except HTTPException as error:
            return _line(error.status_code, error.detail)
        except Exception as error:  # whatever the files of others lead to
            return _line(500, f"{type(error).__name__}: {error}")

    return answered


def _line(status: int, text: str) -> Response:
    return PlainTextResponse(f"{printable(' '.join(text.split()))}\n", status, headers=FRESH)


def _unknown(request: Request, error: Exception) -> Response:
    return _line(404, "there is nothing here")


def application(folder: Path, names: Collection[str] = ()) -> Application:
    """Return what answers requests about the runs in a folder.

    Args:
        folder: of the runs.
        names: hosts that are this machine, as in `rlkit.reporting.watching.guard.Guard`.
    """
    return Guard(Starlette(routes=Server(folder).routes(), exception_handlers={404: _unknown}), names)
