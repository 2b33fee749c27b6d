"""Ray: the cluster that ``RAY_ADDRESS`` names, or one of this process's own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rlkit.core.types import RunError, UsageError


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def connected(places: int, what: str) -> Any:
    """Return Ray, connected to the cluster of ``RAY_ADDRESS``, or to one on this machine that ends with this process.

    Another that happens to run on this machine is somebody else's, and may end at any time.

    Args:
        places: processors that one of its own claims to have at least.
        what: needs Ray, for messages.

    Raises:
        UsageError: Ray is not installed.
        RunError: it does not start.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise UsageError(f"{what} needs Ray: pip install ray") from error
    if ray.is_initialized():
        return ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else Ray would hide the GPUs from what asks for none of them, and say so.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    with _own_signals():
        try:
            if "RAY_ADDRESS" in os.environ:
                ray.init(**quiet)
            else:
                own = {"num_cpus": max(places, os.cpu_count() or 1), "include_dashboard": False}
                ray.init(address="local", **own, **quiet)
        except Exception as error:
            raise RunError(f"Ray does not start: {first_line(error)}") from error
    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
