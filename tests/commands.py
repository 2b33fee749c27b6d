"""The `rlkit` command in a process of its own, as a user runs it."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without what would change rlkit's behaviour, and without a display."""
    dropped = ("PYTHONPATH", "RLKIT_TRACEBACK", "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_AUDIODRIVER")
    return {**{name: value for name, value in os.environ.items() if name not in dropped}, **more}


draws = True
"""Whether commands rasterize their figures; `conftest.py` sets it for each test."""


class Command:
    """A command under way, forked from `warm.py`; has what is used of `subprocess.Popen`."""

    def __init__(self, *words: str, cwd: Path, pythonpath: str | Path = "", script: str = ""):
        """Start ``rlkit words…`` in `cwd`, or ``python script words…``, with `pythonpath` before Python's own."""
        folder, address = server()
        self.args = [script or "rlkit", *words]
        self.returncode: int | None = None
        self._files = [Path(tempfile.mktemp(dir=folder)) for _ in range(2)]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._answers = self._socket.makefile("rw")
        streams = dict(zip(("stdout", "stderr"), map(str, self._files), strict=True))
        more = {"PYTHONPATH": str(pythonpath)} if pythonpath else {}
        what = {"words": self.args, "script": script, "cwd": str(cwd), "draws": draws}
        request = {**what, "environment": clean_environment(**more), **streams}
        self._answers.write(json.dumps(request) + "\n")
        self._answers.flush()
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """Return the status, or None while it runs."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the status, or None where it still runs after `timeout` seconds."""
        if self.returncode is None and select.select([self._socket], [], [], timeout)[0]:
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._socket.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was printed and what went to stderr.

        Raises:
            subprocess.TimeoutExpired: after `timeout` seconds.
        """
        if self.wait(timeout) is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        output, errors = (path.read_text() for path in self._files)
        return output, errors

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)


@cache
def server() -> tuple[str, str]:
    """Start a `warm.py` that ends with this process; return its folder and the address of its socket."""
    folder = tempfile.TemporaryDirectory(prefix="warm")
    address = f"{folder.name}/socket"
    script = [sys.executable, str(Path(__file__).with_name("warm.py")), address]
    process = subprocess.Popen(script, stdin=subprocess.PIPE, env=clean_environment())
    while not Path(address).exists():
        assert process.poll() is None
        time.sleep(0.02)

    def end() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    return folder.name, address


def rlkit(
    *words: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
    pythonpath: str | Path = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end; in an environment or a Python of its own as a process from scratch."""
    if env is None and python == sys.executable:
        command = Command(*words, cwd=cwd, pythonpath=pythonpath)
        output, errors = command.communicate(timeout=300)
        return subprocess.CompletedProcess(command.args, command.returncode or 0, output, errors)
    return subprocess.run(
        [str(python), "-m", "rlkit", *words],
        cwd=cwd,
        env=env or clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def succeed(*words: str, cwd: Path, **where: Any) -> str:
    """Run a command line, as `rlkit` does, that must work and leave nothing on stderr; return its output."""
    done = rlkit(*words, cwd=cwd, **where)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    return done.stdout


def refused(*words: str, cwd: Path, status: int = 2, **where: Any) -> str:
    """Run a command line, as `rlkit` does, that must end with `status` and one line; return the line."""
    done = rlkit(*words, cwd=cwd, **where)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (status, 1), done.stderr + done.stdout
    assert lines[0].startswith("rlkit: ")
    return lines[0]
