"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rlkit.core.loop import Interaction
from rlkit.core.types import Interrupted
from rlkit.runs import build
from rlkit.vector.manners import close_quietly, is_opaque

PATIENCE = 2.0
"""Seconds that a step of an environment may take to its end after a signal."""

OF_ENVIRONMENTS = tuple(f.__code__ for f in (Interaction.ask, build.make_environment, is_opaque, close_quietly))
"""What calls the code of environments."""


@contextmanager
def interruptions() -> Iterator[Callable[[], str | None]]:
    """Turn SIGTERM and the first SIGINT into a reason to stop; a closed terminal (SIGHUP) is none.

    Raises:
        Interrupted: within the code of an environment that has not returned `PATIENCE` seconds after the first signal.
        KeyboardInterrupt: at the second SIGINT.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    waiting = _Waiting()
    handlers: dict[int, Any] = {
        signal.SIGTERM: waiting.note,
        signal.SIGINT: waiting.note,
        signal.SIGHUP: signal.SIG_IGN,
    }
    with _handled(handlers):
        try:
            yield waiting.reason
        finally:
            waiting.end()


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Raise `Interrupted` at SIGTERM or SIGINT: for what comes after a run, whose results are all there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handled({signal.SIGTERM: _interrupt, signal.SIGINT: _interrupt}):
        yield


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted(signal.Signals(number).name)


@contextmanager
def _handled(handlers: dict[int, Any]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not Python's


class _Waiting:
    """What a signal waits for: the loop asks for the reason, unless it is stuck in an environment."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._reminding: threading.Thread | None = None
        self._reason: str | None = None
        self._since = 0.0

    def reason(self) -> str | None:
        return self._reason

    def note(self, number: int, frame: FrameType | None) -> None:
        if self._reason is None:
            self._reason, self._since = signal.Signals(number).name, time.monotonic()
            self._reminding = threading.Thread(target=self._remind, daemon=True)
            self._reminding.start()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        elif time.monotonic() - self._since >= PATIENCE and _in_environment(frame):
            raise Interrupted(self._reason)

    def end(self) -> None:
        """Remind no more: from now on, a signal would find the handlers of before."""
        self._over.set()
        if self._reminding is not None:
            self._reminding.join()

    def _remind(self) -> None:
        """Signal the main thread again, which ends what it waits for, until the run is over."""
        while not self._over.wait(PATIENCE):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _in_environment(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in OF_ENVIRONMENTS:
            return True
        frame = frame.f_back
    return False
