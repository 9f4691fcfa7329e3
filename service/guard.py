"""Keeps out requests that a stranger's web page sends through a user's browser."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem

READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses requests under a foreign name and changes from a foreign page.

    A page whose name was made to point to this machine (DNS rebinding) shows in `Host`; a page that posts here without
    asking shows in `Origin`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        answer = self._app
        if not is_own_name(host):
            rule = "must name this machine: localhost or a loopback address"
            answer = problem(400, "Unknown host", f"Host: {rule}, not {host[:100]!r}")
        elif origin is not None and scope["method"] not in READING and origin.partition("://")[2] != host:
            rule = f"must be this service's own, {host}, for a request that changes something"
            answer = problem(403, "Foreign origin", f"Origin: {rule}, not {origin[:100]!r}")
        await answer(scope, receive, send)


def is_own_name(host: str) -> bool:
    """Whether a Host header, with or without a port, is a name of the machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
