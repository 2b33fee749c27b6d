"""Environments whose code does what is not theirs to do: the run goes on, and says what happened."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.resources import of_drawing
from rlkit.core.types import Environment, Interrupted, RunError, UsageError, described


class Kept(NamedTuple):
    """Something of the process that is no environment's to change."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


def _directory() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None  # It was deleted.


def _go_to(directory: str | None) -> None:
    if directory is not None:
        os.chdir(directory)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _set_handlers(handlers: list[Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(SIGNALS, handlers, strict=True):
            if handler is not None:
                signal.signal(number, handler)


def _raising() -> dict[str, str]:
    """Return which errors of floats NumPy raises, with what it does; the others harm nobody."""
    return {name: way for name, way in np.geterr().items() if way in ("raise", "call")}


def _raise_only(raising: dict[str, str]) -> None:
    usual = {name: "ignore" if name == "under" else "warn" for name in _raising()}
    np.seterr(**{**usual, **raising})  # type: ignore[arg-type]


def _torch_settings() -> Any:
    torch = sys.modules.get("torch")
    return None if torch is None else (torch.is_grad_enabled(), torch.get_default_dtype())


def _set_torch(settings: Any) -> None:
    if settings is not None:
        torch = sys.modules["torch"]
        torch.set_grad_enabled(settings[0])
        torch.set_default_dtype(settings[1])


KEPT = (
    Kept("the working directory", _directory, _go_to),
    Kept("the handlers of signals", lambda: [signal.getsignal(number) for number in SIGNALS], _set_handlers),
    Kept("NumPy to raise errors of floats", _raising, _raise_only),
    Kept("torch's gradients or default dtype", _torch_settings, _set_torch),
)


@contextmanager
def unchanged() -> Iterator[list[str]]:
    """Change back what is no environment's to change; yield a list which then holds the names of what was changed."""
    before, changed = [kept.read() for kept in KEPT], list[str]()
    try:
        yield changed
    finally:
        for kept, value in zip(KEPT, before, strict=True):
            if value is not None and kept.read() != value:
                kept.write(value)
                changed.append(kept.name)
                # Without values, so that Python shows it once.
                warnings.warn(f"the environment changes {kept.name}; it is changed back", stacklevel=3)


def return_to(directory: Path) -> None:
    """Change back to a working directory that an environment has left."""
    if _directory() != str(directory):
        os.chdir(directory)
        warnings.warn("the environment changes the working directory; it is changed back", stacklevel=2)


def close_quietly(env: Any) -> None:
    """Close an environment; an error is a warning, for by then its results are there."""
    try:
        with unchanged():
            env.close()
    except (Interrupted, KeyboardInterrupt):
        raise
    except BaseException as error:
        warnings.warn(f"closing the environment raised {described(error)}; nothing is lost", stacklevel=2)


def is_opaque(env: Environment) -> bool:
    """Reset `env` for the first time, and return whether its state cannot be read.

    Raises:
        UsageError: its code raised anything, or left the process.
    """
    with in_one_line("the environment"):
        env.reset([0] * env.num_envs)
        return env.get_state() is None


@contextmanager
def in_one_line(who: str) -> Iterator[None]:
    """Turn whatever somebody else's code raises, before anything is played, into a `UsageError` of one line."""
    try:
        yield
    except (UsageError, RunError, Interrupted, KeyboardInterrupt):
        raise
    except BaseException as error:
        help = of_drawing(error) or "; fix it"
        raise UsageError(f"{who} raised {described(error)}{help} (RLKIT_TRACEBACK=1 shows where)") from error
