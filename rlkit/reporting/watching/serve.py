"""The server of the live page, from its address to its end."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from rlkit.core.types import UsageError

PACKAGES = ("starlette", "uvicorn")

CLOSES_IN = 2
"""Seconds in which answers that are under way may end after Ctrl-C."""


def serve(folder: Path, host: str, port: int, names: Sequence[str], say: Callable[[str], None]) -> None:
    """Serve the live page of a folder of runs until SIGINT or SIGTERM.

    Args:
        folder: of the runs.
        host: address or name of this machine to listen at; 127.0.0.1 is reached from this machine alone.
        port: 0 for any that is free.
        names: by which browsers may call this machine, beside localhost, `host`, and addresses in numbers.
        say: is called with the line that has the address.

    Raises:
        UsageError: a package or the folder is missing, or nothing can listen there.
    """
    _require_packages()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; rlkit watch shows a folder of runs: rlkit watch runs/")
    with _listening(host, port) as listener:
        _run(folder, listener, [*names, host, host_of(listener)], say)


def _run(folder: Path, listener: socket.socket, names: Sequence[str], say: Callable[[str], None]) -> None:
    import uvicorn

    # Compiled before the first big table comes, and not while a browser waits for it.
    from rlkit.reporting.watching.application import application
    from rlkit.reporting.watching.kernel import prepare

    prepare()
    settings = uvicorn.Config(
        application(folder, names),
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=CLOSES_IN,
    )
    say(f"watching {folder} at {address(listener)} (Ctrl-C ends it)")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listener])


def host_of(listener: socket.socket) -> str:
    """Return by which name or address this machine is called where something listens."""
    host = str(listener.getsockname()[0])
    return socket.gethostname() if ipaddress.ip_address(host).is_unspecified else host


def address(listener: socket.socket) -> str:
    """Return what to type into a browser."""
    host, port = host_of(listener), listener.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _require_packages() -> None:
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UsageError(f"rlkit watch needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def _listening(host: str, port: int) -> socket.socket:
    try:
        [(family, kind, protocol, _, place), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host={host} is no address of this machine: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(100)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port={port} of {host} is in use; choose another, or port=0 for any that is free"
            ) from error
        raise UsageError(f"host={host} port={port} cannot be used: {(error.strerror or str(error)).lower()}") from error
    return listener
