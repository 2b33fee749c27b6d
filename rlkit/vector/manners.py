"""Environments whose code does what is not theirs to do: the run goes on, and says what happened."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        warnings.warn(f"closing the environment raised {type(error).__name__}: {said}; nothing is lost", stacklevel=2)
