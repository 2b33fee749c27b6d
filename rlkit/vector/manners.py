"""Environments whose code does what is not theirs to do: the run goes on, and says what happened."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlkit.core.types import Environment, Interrupted, RunError, UsageError, described


@contextmanager
def same_directory() -> Iterator[list[str]]:
    """Go back to the working directory; yield a list which then holds where the process was, if it was elsewhere."""
    before, moved = Path.cwd(), list[str]()
    try:
        yield moved
    finally:
        after = Path.cwd()
        if after != before:
            os.chdir(before)
            moved.append(str(after))
            # Without the place, so that Python shows it once.
            warnings.warn("the environment changes the working directory; it is changed back", stacklevel=3)


def close_quietly(env: Any) -> None:
    """Close an environment; an error is a warning, for by then its results are there."""
    try:
        with same_directory():
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
        raise UsageError(f"{who} raised {described(error)}; fix it (RLKIT_TRACEBACK=1 shows where)") from error
