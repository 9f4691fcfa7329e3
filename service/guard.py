"""Keeps out requests that a stranger's web page sends through a user's browser."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem
from service.config import Settings, is_loopback, is_wildcard

READING = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"\[([0-9a-f:.]+)\](?::\d+)?|([\w.-]+)(?::\d+)?", re.ASCII | re.IGNORECASE)
"""A name or address, an IPv6 one in brackets, with or without a port."""


class Guard:
    """Refuses requests under a foreign name and changes from a foreign page.

    A page whose name was made to point to this machine (DNS rebinding) shows in `Host`; a page that posts here without
    asking shows in `Origin`.

    Args:
        app: what answers the others.
        names: the service's names besides those of loopback.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origin = headers.getlist("host"), headers.get("origin")
        host = hosts[0] if len(hosts) == 1 else ""
        answer = self._app
        if not self._is_own(host):
            rule = "must name this service, once: localhost, a loopback address or one of GOLDENBENCH_ALLOWED_HOSTS"
            answer = problem(400, "Unknown host", f"Host: {rule}, not {', '.join(hosts)[:100]!r}")
        elif origin is not None and scope["method"] not in READING and origin != f"{scope['scheme']}://{host}":
            rule = f"must be this service's own, {scope['scheme']}://{host}, for a request that changes something"
            answer = problem(403, "Foreign origin", f"Origin: {rule}, not {origin[:100]!r}")
        await answer(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this service."""
        found = _HOST.fullmatch(host)
        name = (found[1] or found[2]).lower() if found else ""
        return is_loopback(name) or name in self._names


def own_names(settings: Settings) -> frozenset[str]:
    """The names of a service besides those of loopback."""
    listening = () if is_wildcard(settings.host) else (settings.host.lower(),)
    return frozenset((*settings.allowed_hosts, *listening))
