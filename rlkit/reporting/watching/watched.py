"""The runs in a folder: found, opened and followed, a few at a time."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlkit.core.types import UsageError, printable
from rlkit.reporting import tables
from rlkit.reporting.groups import environment_name
from rlkit.reporting.opening import DAMAGED, require_readable, require_tables
from rlkit.reporting.scores import RunScore, run_score
from rlkit.reporting.watching.growing import changed
from rlkit.reporting.watching.live import AnyLiveRun, LiveFitRun, opened
from rlkit.reporting.watching.states import RunState, locked_files, state_of

DEEPEST = 4
"""Folders within folders in which runs are looked for: those of sweeps and studies."""

CONFIG = "config.yaml"
FOLLOWED = ("train.log", "metrics.csv", "episodes.csv", "evaluations.csv", "timings.csv", "metrics.json")
"""Files by which a change in a run folder is noticed, beside its configuration."""

LISTED = ("evaluations", "metrics", "timings")
"""Tables that the list needs."""


class WatchedRun:
    """A run folder in the list.

    Attributes:
        id: counts the folders in the order in which they were found.
        name: the path from the watched folder.
        run: the run, once it has been opened; None while it is damaged.
        problem: what is damaged, in one line.
        row: what the list shows of it.
        since: the cursor at which `row` changed last.
    """

    def __init__(self, id: int, directory: Path, name: str):
        self.id = id
        self.directory = directory
        self.name = name
        self.run: AnyLiveRun | None = None
        self.problem = ""
        self.row: dict[str, Any] = {}
        self.since = 0
        self._config: tuple[tuple[int, ...], ...] | None = None
        self._seen: tuple[tuple[int, ...], ...] | None = None
        self._state = RunState("")
        self._whole = False  # a report was asked for

    @property
    def opened(self) -> bool:
        """Whether it has been looked into."""
        return self._config is not None

    def version(self) -> tuple[Any, ...]:
        """Return what changes with all that a report shows of the run."""
        live = (self.run.live.size, self.run.live.unread) if self.run is not None else ()
        return self.id, self._config, self._seen, live

    def look(self, locked: frozenset[int], deadline: float) -> bool:
        """Read what has changed; return whether the row is another."""
        config = changed([self.directory / CONFIG])
        seen = changed([self.directory / name for name in FOLLOWED])
        if self._config == config and self._seen == seen:
            # Damage that a report has found is yet to be shown.
            new = bool(self.problem) and self._state.name != "damaged"
            return self._show(locked) if new or self._state.name == "running" else False
        tables = () if self._whole else LISTED
        try:
            if self._config != config or self.run is None:
                self.run = opened(self.directory)
                self.run.live.read(deadline, *tables)
                require_readable(self.run)
            else:
                self.run.live.read(deadline, *tables)
                require_tables(self.run)
            self.problem = ""
        except (UsageError, *DAMAGED) as error:
            self.damage(error)
        self._config, self._seen = config, seen
        return self._show(locked)

    def read(self, deadline: float) -> None:
        """Read more of what a report shows."""
        self._whole = True
        if self.run is None:
            return
        try:
            if self.run.live.read(deadline):
                require_tables(self.run)
        except (UsageError, *DAMAGED) as error:
            self.damage(error)

    def damage(self, error: Exception) -> None:
        """Leave the run out, for what it raised."""
        self.problem = printable(" ".join(str(error).split())) or type(error).__name__
        self.run = None

    def _show(self, locked: frozenset[int]) -> bool:
        files = [self.directory / name for name in (CONFIG, *FOLLOWED)]
        last = max((version[-1] / 1e9 for version in changed(files) if version), default=0.0)
        row: dict[str, Any] = {"id": self.id, "name": self.name, "changed": round(last, 1)}
        try:
            row |= self._of_run(locked, last)
        except DAMAGED as error:
            self.damage(error)
        if self.run is None:
            self._state = RunState("damaged", self.problem)
        row |= {"state": self._state.name, "note": self._state.why}
        known, self.row = self.row, row
        return row != known

    def _of_run(self, locked: frozenset[int], last: float) -> Mapping[str, Any]:
        if self.run is None:
            return {}
        if isinstance(self.run, LiveFitRun):
            self._state = state_of(self.directory, complete=bool(final(self.run)), changed=last, locked=locked)
            return {"about": f"{self.run.values['choices']['learner']} on {environment_name(self.run.values)}"}
        score, steps, total = run_score(self.run), self.run.live.last_step, int(self.run.values["total_steps"])
        self._state = state_of(self.directory, complete=steps >= total, changed=last, locked=locked)
        share = 1.0 if self._state.name == "finished" else min(1.0, steps / total)
        about = f"{self.run.values['choices']['agent']} on {environment_name(self.run.values)}"
        return {"about": about, "share": round(share, 4), **_numbers(score, steps, total)}


def final(run: LiveFitRun) -> Mapping[str, float]:
    """Return the metrics of a fitted model, which are read again for as long as there are none."""
    if not run.final_metrics:
        del run.final_metrics
    return run.final_metrics


def _numbers(score: RunScore, steps: int, total: int) -> Mapping[str, str]:
    found = {"steps": f"{steps:,}" if steps >= total else f"{steps:,} of {total:,}"}
    if score.last is not None:
        found["last"] = f"{tables.number(score.last[1])} at {score.last[0]:,}"
    if score.steps_per_second is not None:
        found["speed"] = f"{tables.number(score.steps_per_second)}/s"
    return found


class WatchedRuns:
    """The run folders in a folder, as the requests of browsers ask for them.

    Args:
        folder: what lies in it is shown, and nothing else.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.epoch = secrets.token_hex(4)
        self.cursor = 0
        self._entries: dict[Path, WatchedRun] = {}
        self._gone: dict[int, int] = {}  # the ids of folders that are no longer there, with the cursor of that
        self._next = 0

    @property
    def opened(self) -> int:
        """How many of the folders have been looked into."""
        return sum(entry.opened for entry in self._entries.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def look(self, deadline: float) -> None:
        """Find new and deleted runs, and read what has changed until a `time.monotonic`, the newest folders first."""
        self.cursor += 1
        self._find()
        locked = locked_files()
        entries = sorted(self._entries.values(), key=lambda entry: (entry.opened, -entry.id))
        for number, entry in enumerate(entries):
            # One at least, so that there is an end to it.
            late = number and not entry.opened and time.monotonic() > deadline
            if not late and entry.look(locked, deadline):
                entry.since = self.cursor

    def rows(self, since: int) -> list[Mapping[str, Any]]:
        """Return what the list shows of the folders that have changed after a cursor."""
        return [entry.row for entry in self._entries.values() if entry.since > since and entry.row]

    def gone(self, since: int) -> list[int]:
        """Return the ids of the folders that were deleted after a cursor."""
        return [id for id, at in self._gone.items() if at > since]

    def chosen(self, ids: Iterable[int]) -> list[WatchedRun]:
        """Return the entries with these ids that there are, in the order of their names."""
        wanted = set(ids)
        return sorted((one for one in self._entries.values() if one.id in wanted), key=lambda entry: entry.name)

    def _find(self) -> None:
        found = dict.fromkeys(run_folders(self.folder))
        for path in [path for path in self._entries if path not in found]:
            self._gone[self._entries.pop(path).id] = self.cursor
        new = sorted((path for path in found if path not in self._entries), key=_made)
        for path in new:
            entry = WatchedRun(self._next, path, path.relative_to(self.folder).as_posix())
            entry.row, entry.since = {"id": entry.id, "name": entry.name, "changed": _made(path)}, self.cursor
            self._entries[path], self._next = entry, self._next + 1


def _made(path: Path) -> float:
    with suppress(OSError):
        return round((path / CONFIG).stat().st_mtime, 1)
    return 0.0


def run_folders(folder: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Yield the folders within a folder that have a configuration, none through a link, and none within another."""
    try:
        with os.scandir(folder) as there:
            inner = [Path(one.path) for one in there if one.is_dir(follow_symlinks=False) and one.name[0] != "."]
    except OSError:
        return
    for path in inner:
        if (path / CONFIG).exists():
            yield path
        elif depth > 1:
            yield from run_folders(path, depth - 1)
