"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptions() -> Iterator[Callable[[], str | None]]:
    """Turn SIGTERM and the first SIGINT into a reason to stop; a closed terminal (SIGHUP) is none.

    Raises:
        KeyboardInterrupt: at the second SIGINT.
    """
    reason: list[str] = []

    def note(number: int, frame: Any) -> None:
        if reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        reason.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    handlers: dict[int, Any] = {signal.SIGTERM: note, signal.SIGINT: note, signal.SIGHUP: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: reason[0] if reason else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
