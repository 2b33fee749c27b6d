"""The `rlkit` command in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without what would change rlkit's behaviour, and without a display."""
    dropped = ("PYTHONPATH", "RLKIT_TRACEBACK", "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_AUDIODRIVER")
    return {**{name: value for name, value in os.environ.items() if name not in dropped}, **more}


def rlkit(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        [str(python), "-m", "rlkit", *words],
        cwd=cwd,
        env=env or clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def succeed(*words: str, cwd: Path, env: Mapping[str, str] | None = None, python: str | Path = sys.executable) -> str:
    """Run a command line that must work and leave nothing on stderr; return its output."""
    done = rlkit(*words, cwd=cwd, env=env, python=python)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    return done.stdout


def refused(*words: str, cwd: Path, env: Mapping[str, str] | None = None, status: int = 2) -> str:
    """Run a command line that must end with `status` and one line; return the line."""
    done = rlkit(*words, cwd=cwd, env=env)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (status, 1), done.stderr + done.stdout
    assert lines[0].startswith("rlkit: ")
    return lines[0]
