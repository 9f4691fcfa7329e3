"""The Optuna dashboard behind a gate: reading only, on the five prefixes that are compiled into it."""

import threading
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem
from service.garbage import leave_alone_what_stays

PREFIXES = frozenset({"dashboard", "api", "static", "csv", "artifacts"})
READING = ("GET", "HEAD")


class DashboardGate:
    """Passes GET and HEAD of the dashboard's prefixes to it, refuses its other methods, and leaves the rest to `app`.

    The dashboard is loaded for the first who asks for it, since scikit-learn comes with it: without them the process
    that answers requests starts in 2.0 s of processor time and 119 MiB, with them in 3.4 s and 269 MiB.

    Args:
        app: what serves everything else.
        storage: Optuna's storage.
    """

    def __init__(self, app: ASGIApp, storage: Any) -> None:
        self._app = app
        self._storage = storage
        self._loading = threading.Lock()
        self._dashboard: ASGIApp | None = None

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
            dashboard = await run_in_threadpool(self._load) if self._dashboard is None else self._dashboard
            await dashboard(_with_encoding(scope), receive, send)

    def _load(self) -> ASGIApp:
        """The dashboard; takes a second the first time."""
        with self._loading:
            if self._dashboard is None:
                from optuna_dashboard import wsgi

                # a2wsgi types an ASGI app more narrowly than Starlette does
                self._dashboard = cast(ASGIApp, WSGIMiddleware(wsgi(self._storage)))
                leave_alone_what_stays()
            return self._dashboard


def is_dashboards(scope: Scope) -> bool:
    """Whether a request is for the dashboard. (`OPTIONS *` has a path without a slash.)"""
    parts = scope["path"].split("/", 2)
    return len(parts) > 1 and parts[1] in PREFIXES


def _with_encoding(scope: Scope) -> Scope:
    """The dashboard answers 500 to a request for a static file that accepts no particular encoding."""
    if any(name == b"accept-encoding" for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"accept-encoding", b"identity")]}
