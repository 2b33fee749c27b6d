"""A process that has done the slow imports and forks one for each command, as if it had been typed.

By itself: ``python tests/warm.py <socket>`` serves until its standard input ends. Nothing of rlkit is imported before
the fork, and what is imported starts no thread of its own that a fork would lose.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import figures

SLOW = (
    "torch",
    "torch._dynamo",  # which torch's optimisers import when they are made
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "gymnasium",
    "hydra",
    "numba",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.metrics",
    "av",
    "rich",
)


def serve(path: str) -> dict[str, Any] | None:
    """Fork for each connection; return a command in the process that is to run it, None in the server at its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as selector:
        listening.bind(f"{path}.new")
        listening.listen()
        Path(f"{path}.new").rename(path)  # who finds it may connect
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listening, selectors.EVENT_READ)
        while all(key.fileobj is listening for key, _ in selector.select()):
            connection, _ = listening.accept()
            if os.fork() == 0:
                return supervised(connection)
            connection.close()
    return None


def supervised(connection: socket.socket) -> dict[str, Any]:
    """Fork once more; tell the child's id and, when it has ended, its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile("rw") as stream:
        request: dict[str, Any] = json.loads(stream.readline())
        child = os.fork()
        if child == 0:
            return request
        for line in (child, lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])):
            with suppress(BrokenPipeError):
                stream.write(f"{line() if callable(line) else line}\n")
                stream.flush()
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Take on a command's folder, environment and streams, and run it."""
    os.setsid()
    for number, target in enumerate((os.devnull, request["stdout"], request["stderr"])):
        os.dup2(os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT), number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if not request["draws"]:
        figures.let_be_one_pixel()
    sys.argv, sys.path[0] = request["words"], request["cwd"]
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    code = 1
    try:
        if request["script"]:
            runpy.run_path(request["script"], run_name="__main__")
        else:
            runpy.run_module("rlkit", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    leave(code)


def leave(code: int) -> NoReturn:
    """End as Python does, but without taking apart what was imported: that takes two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    for name in SLOW:
        importlib.import_module(name)
    command = serve(sys.argv[1])
    if command is not None:
        become(command)
