"""Signals while a learner is fitted: a closed terminal ends nothing, and others end it with a line that is true."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlkit.core.checkpoint import Store
from rlkit.fitting.run import MODEL


@contextmanager
def explained_stops(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Say what is left when SIGINT or SIGTERM ends a fit; a closed terminal (SIGHUP) does not.

    Raises:
        KeyboardInterrupt: at SIGINT.
        SystemExit: at SIGTERM; the status is 128 and its number, as that of shells.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {signal.SIGTERM: _terminate, signal.SIGHUP: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        name = "SIGINT" if isinstance(error, KeyboardInterrupt) else "SIGTERM"
        say(f"stopped: {name}; {_left(directory)}")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _left(directory: Path) -> str:
    if Store(directory / MODEL).steps():
        return f"the model is in {directory}, predictions and plots may be missing"
    return (
        f"there is no model: a fit has no checkpoints, so it begins again, under another name= or without {directory}"
    )
