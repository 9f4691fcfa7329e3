"""How long requests take, by route; a route is named as it is declared, never by the path that somebody asked for."""

import time
from collections.abc import Callable

import structlog
from fastapi import FastAPI
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.scopes import READING, routes
from service.dashboard import is_dashboards

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
"""Anybody can make up others, so those are all `other`."""
DASHBOARD = "optuna dashboard"
UNKNOWN = "unknown"
"""The route of a path that no route has."""

log = structlog.get_logger("goldenbench.requests")


class RouteNames:
    """Finds the declared route of a request.

    Args:
        app: with all of its routes.
    """

    def __init__(self, app: FastAPI) -> None:
        self._routes = [(route.method, route.path, compile_path(route.pattern)[0]) for route in routes(app)]

    def of(self, scope: Scope) -> str:
        """The route, as it is declared."""
        if is_dashboards(scope):
            return DASHBOARD
        method = "GET" if scope["method"] in READING else scope["method"]
        fitting = [(declared, path) for declared, path, pattern in self._routes if pattern.match(scope["path"])]
        own = [path for declared, path in fitting if declared == method]
        return next(iter(own), fitting[0][1] if fitting else UNKNOWN)


class Measured:
    """Tells how long each answer took to begin: a stream of events goes on for as long as somebody listens.

    It stands around everything else, so that refusals and unexpected errors count too.

    Args:
        app: what answers.
        names: of the routes.
        observe: is told route, method, class of the status and seconds.
        logs: whether each request is a line of the log too; it shows neither path nor query, which may hold secrets.
    """

    def __init__(
        self, app: ASGIApp, names: RouteNames, observe: Callable[[str, str, str, float], None], logs: bool
    ) -> None:
        self._app = app
        self._names = names
        self._observe = observe
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, told = time.perf_counter(), False

        def note(status: int) -> None:
            nonlocal told
            told = True
            seconds = time.perf_counter() - began
            route, method = self._names.of(scope), scope["method"] if scope["method"] in METHODS else "other"
            self._observe(route, method, f"{status // 100}xx", seconds)
            if self._logs:
                log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if not told:
                note(500)  # which the server then answers
            raise
