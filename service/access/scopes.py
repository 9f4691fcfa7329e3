"""What each route needs of a token.

One table, so that it can be read at a glance; a test holds it to the app's routes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, compile_path


class Scope(IntEnum):
    """What a token may do; each includes those before it."""

    OPEN = 0
    """Nothing is needed; no token has it."""
    READ = 1
    SUBMIT = 2
    ADMIN = 3


TOKEN_SCOPES = {scope.name.lower(): scope for scope in Scope if scope is not Scope.OPEN}
"""The scopes of tokens by the names that users write."""
LOGIN = "/login"
NEEDED: Mapping[str, Scope] = {
    "GET /healthz": Scope.OPEN,
    "GET /favicon.ico": Scope.OPEN,
    f"GET {LOGIN}": Scope.OPEN,
    f"POST {LOGIN}": Scope.OPEN,
    "GET /assets": Scope.OPEN,
    "GET /": Scope.READ,
    "GET /docs": Scope.READ,
    "GET /metrics": Scope.READ,
    "GET /openapi.json": Scope.READ,
    "GET /readyz": Scope.READ,
    "GET /studies/{study_id}": Scope.READ,
    "GET /studies/{study_id}/comparison": Scope.READ,
    "GET /studies/{study_id}/comparison/{other}": Scope.READ,
    "GET /suites/{suite_id}": Scope.READ,
    "GET /v1/datasets": Scope.READ,
    "GET /v1/derived": Scope.READ,
    "GET /v1/models": Scope.READ,
    "GET /v1/presets": Scope.READ,
    "GET /v1/studies": Scope.READ,
    "GET /v1/studies/{study_id}": Scope.READ,
    "GET /v1/studies/{study_id}/cells": Scope.READ,
    "GET /v1/studies/{study_id}/comparison": Scope.READ,
    "GET /v1/studies/{study_id}/comparison/{other}": Scope.READ,
    "GET /v1/studies/{study_id}/events": Scope.READ,
    "GET /v1/studies/{study_id}/manifest": Scope.READ,
    "GET /v1/studies/{study_id}/packs": Scope.READ,
    "GET /v1/studies/{study_id}/plots/{kind}.{form}": Scope.READ,
    "GET /v1/studies/{study_id}/replicates": Scope.READ,
    "GET /v1/suites": Scope.READ,
    "GET /v1/suites/{suite_id}": Scope.READ,
    "GET /v1/suites/{suite_id}/table": Scope.READ,
    "GET /v1/workers": Scope.READ,
    "POST /logout": Scope.READ,
    "POST /estimate": Scope.SUBMIT,
    "POST /studies": Scope.SUBMIT,
    "POST /studies/{study_id}/delete": Scope.ADMIN,
    "POST /studies/{study_id}/extend": Scope.SUBMIT,
    "POST /studies/{study_id}/{action}": Scope.SUBMIT,
    "POST /suites": Scope.SUBMIT,
    "POST /suites/{suite_id}/cancel": Scope.SUBMIT,
    "POST /v1/estimates": Scope.SUBMIT,
    "POST /v1/studies": Scope.SUBMIT,
    "POST /v1/studies/{study_id}/cancel": Scope.SUBMIT,
    "POST /v1/studies/{study_id}/extend": Scope.SUBMIT,
    "POST /v1/studies/{study_id}/pause": Scope.SUBMIT,
    "POST /v1/studies/{study_id}/resume": Scope.SUBMIT,
    "POST /v1/suites": Scope.SUBMIT,
    "POST /v1/suites/{suite_id}/cancel": Scope.SUBMIT,
    "DELETE /v1/studies/{study_id}": Scope.ADMIN,
}
"""By method and path, as the app declares them; a route that is not here needs ADMIN."""
READING = ("GET", "HEAD")


class Rules:
    """What a request needs, decided on the app's own routes and in their order, as its router does.

    Args:
        app: with all of its routes.
    """

    def __init__(self, app: FastAPI) -> None:
        self._routes = [(route, compile_path(route.pattern)[0]) for route in routes(app)]

    def needed(self, method: str, path: str) -> Scope:
        """The scope for a request; any token will do where nothing is, and to be told that a method is not allowed.

        Args:
            method: as in the request.
            path: decoded, as the router sees it.
        """
        method = "GET" if method in READING else method
        for route, pattern in self._routes:
            if pattern.match(path):
                if route.mounted and method != "GET":
                    return Scope.ADMIN
                if method == route.method:
                    return NEEDED.get(route.name, Scope.ADMIN)
        return Scope.READ

    def allowed(self, path: str) -> list[str]:
        """The methods that a path has."""
        return sorted({route.method for route, pattern in self._routes if pattern.match(path)})


@dataclass(frozen=True)
class Route:
    """One method of one path of an app."""

    method: str
    """GET stands for HEAD too."""
    path: str
    """As declared, with its parameters in braces."""
    mounted: bool
    """Whether another app answers everything below the path."""

    @property
    def name(self) -> str:
        """Its key in NEEDED."""
        return f"{self.method} {self.path}"

    @property
    def pattern(self) -> str:
        """What a request's path has to look like."""
        return f"{self.path}/{{path:path}}" if self.mounted else self.path


def routes(app: FastAPI) -> list[Route]:
    """Every route of an app, in order.

    Raises:
        TypeError: a kind of route that this does not know, which would go unguarded.
    """
    found: list[Route] = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            found.append(Route("GET", str(route.path), mounted=True))
            continue
        if not route.methods:
            raise TypeError(f"a route that has no methods: {route.path}")
        found += [Route(method, str(route.path), mounted=False) for method in sorted(set(route.methods) - {"HEAD"})]
    return found
