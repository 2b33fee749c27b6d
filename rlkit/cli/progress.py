"""Lines that say how far something long is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rlkit.core.types import Array

SECONDS = 10.0
"""Between two lines, and before the first."""


class EpisodeProgress:
    """Says on stderr, now and then, how far episodes are: a `rlkit.core.evaluation.Watch`."""

    def __init__(self, noun: str = "episodes", clock: Callable[[], float] = time.monotonic):
        """Begin to wait for the first line, in which episodes are called `noun`; `clock` returns seconds."""
        self._noun = noun
        self._clock = clock
        self._due = clock() + SECONDS

    def __call__(self, before: int, playing: Array, lengths: Array) -> None:
        """Print a line where it is time for one."""
        if (now := self._clock()) < self._due:
            return
        self._due = now + SECONDS
        played = (
            f"{int(playing.sum())} of {len(playing)} {self._noun} are being played" if len(playing) > 1 else "playing"
        )
        over = f"{before:,} are over, " if before else ""
        print(f"{over}{played}, at step {int(lengths.max()):,}", file=sys.stderr, flush=True)
