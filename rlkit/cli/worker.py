"""A worker of a search in a process of its own; it stops when the process that started it does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from rlkit.cli.searching import say
from rlkit.core.resources import prepare_torch
from rlkit.core.types import Interrupted, RunError, UsageError, printable
from rlkit.runs.searching.search import opened
from rlkit.runs.searching.work import work


def main(directory: str, *trust: str) -> int:
    """Work at a search until nothing is left; return the status of the process."""
    prepare_torch()
    threading.Thread(target=_stop_with_the_parent, daemon=True).start()
    try:
        search = opened(Path(directory))
        search.require_trusted(trust, typed=False)
        work(search, say, typed=False)
    except (UsageError, RunError) as error:
        print(f"rlkit: {printable(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except Interrupted as reason:
        return 128 + signal.Signals[str(reason)]
    return 0


def _stop_with_the_parent() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock would be held when Python ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
