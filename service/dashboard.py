"""The Optuna dashboard behind a gate: reading only, on the five prefixes that are compiled into it."""

from typing import Any, cast

import optuna_dashboard
from a2wsgi import WSGIMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem

PREFIXES = frozenset({"dashboard", "api", "static", "csv", "artifacts"})
READING = ("GET", "HEAD")


class DashboardGate:
    """Passes GET and HEAD of the dashboard's prefixes to it, refuses its other methods, and leaves the rest to `app`.

    Args:
        app: what serves everything else.
        storage: Optuna's storage.
    """

    def __init__(self, app: ASGIApp, storage: Any) -> None:
        self._app = app
        # a2wsgi types an ASGI app more narrowly than Starlette does
        self._dashboard = cast(ASGIApp, WSGIMiddleware(optuna_dashboard.wsgi(storage)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not is_dashboards(scope):
            await self._app(scope, receive, send)
        elif scope["method"] not in READING:
            request = f"{scope['method']} {scope['path']}"
            detail = f"{request}: the Optuna dashboard is for reading; studies change through /v1"
            refusal = problem(405, "Method Not Allowed", detail, headers={"Allow": ", ".join(READING)})
            await refusal(scope, receive, send)
        else:
            await self._dashboard(_with_encoding(scope), receive, send)


def is_dashboards(scope: Scope) -> bool:
    """Whether a request is for the dashboard. (`OPTIONS *` has a path without a slash.)"""
    parts = scope["path"].split("/", 2)
    return len(parts) > 1 and parts[1] in PREFIXES


def _with_encoding(scope: Scope) -> Scope:
    """The dashboard answers 500 to a request for a static file that accepts no particular encoding."""
    if any(name == b"accept-encoding" for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"accept-encoding", b"identity")]}
