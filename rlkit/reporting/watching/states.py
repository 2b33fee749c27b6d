"""Whether a run is being trained, has ended, or failed, as far as its folder shows."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOCKS = Path("/proc/locks")
"""Linux's list of locks. Whoever asked for the lock itself could keep a run from beginning at that moment."""

RECENT = 60.0
"""Seconds after a change in which a run is taken for one that goes on, where its lock cannot be seen: on another
machine, or a system without such a list."""

TAIL = 6000
"""Bytes at the end of train.log in which its end is looked for."""

ENDED = re.compile(r"(done|stopped: .*) at step [\d,.]+$")
FAILED = re.compile(r"\w[\w.]*: |\w+(Error|Exception|Interrupt)$")


class RunState(NamedTuple):
    """What a run is doing."""

    name: str  # running, finished, stopped, failed or damaged
    why: str = ""


def locked_files() -> frozenset[int]:
    """Return the inodes of all files that processes of this machine hold a lock of."""
    with suppress(OSError, ValueError, IndexError):
        rows = [line.split() for line in LOCKS.read_text().splitlines()]
        return frozenset(int(row[5].rpartition(":")[2]) for row in rows if row[1] == "FLOCK")
    return frozenset()


def state_of(directory: Path, *, complete: bool, changed: float, locked: frozenset[int]) -> RunState:
    """Return the state of a run.

    Args:
        directory: its folder.
        complete: it has made all of its steps.
        changed: when its files changed last, in seconds since the epoch.
        locked: `locked_files`.
    """
    log = directory / "train.log"
    with suppress(OSError):
        if log.stat().st_ino in locked:
            return RunState("running")
    lines = _last_lines(log)
    end = next((found for line in reversed(lines) if (found := ENDED.match(line))), None)
    failure = _failure(lines)
    if failure:
        return RunState("failed", failure)
    if end is not None and not end[1].startswith("done"):
        return RunState("stopped", end[1].removeprefix("stopped: "))
    if complete or end is not None:
        return RunState("finished")
    return RunState("running" if time.time() - changed < RECENT else "stopped")


def _last_lines(path: Path) -> list[str]:
    with suppress(OSError), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return file.read(TAIL).decode(errors="replace").splitlines()
    return []


def _failure(lines: list[str]) -> str:
    """Return the last line of a traceback, where a log ends with one."""
    begins = [i for i, line in enumerate(lines) if line.startswith("Traceback ")]
    rest = [line for line in lines[begins[-1] + 1 :] if line.strip()] if begins else []
    ends = [i for i, line in enumerate(rest) if FAILED.match(line)]
    return rest[-1].strip() if ends and ends[-1] == len(rest) - 1 else ""
