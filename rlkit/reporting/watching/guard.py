"""What a local server must refuse: other sites that a browser has open can send requests to it, too."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load: the server's own files. A script within a page, as a name might hold one, never runs."""

HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Answers only requests that read, that name this machine, and that come from the page itself.

    A site whose name was made to point here after the browser had loaded it (DNS rebinding) names itself as the host;
    an address in numbers is never such a name.

    Args:
        application: what answers the others.
        names: hosts that are this machine, beside ``localhost`` and addresses in numbers.
    """

    def __init__(self, application: Application, names: Collection[str] = ()):
        self._application = application
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it in one line."""
        if scope["type"] != "http":
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        refused = self.refusal(scope["method"], scope["path"], headers_of(scope))
        if refused is None:
            await self._application(scope, receive, guarded)
        else:
            await _answer(guarded, *refused)

    def refusal(self, method: str, path: str, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        """Return the status and the line for a request that is refused, or None."""
        host = headers.get("host", "")
        if method not in METHODS:
            return 405, f"{method} is refused: this page is read-only"
        if not self._is_here(host):
            return 403, f"the host {host[:100]!r} is refused; names=[…] of rlkit watch allows one"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"requests from {origin[:100]!r} are refused"
        site = headers.get("sec-fetch-site", "none")
        opens_page = path == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not opens_page:
            return 403, f"{site} requests are refused"
        return None

    def _is_here(self, host: str) -> bool:
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
            return True
        return False


def headers_of(scope: Scope) -> MutableMapping[str, str]:
    """Return the headers of a request by their names in small letters; one that is there twice is both values."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _answer(send: Send, status: int, line: str) -> None:
    body = f"{line}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
