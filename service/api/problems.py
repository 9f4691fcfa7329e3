"""Every error as RFC 9457 problem+json that names the field and the rule."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from service.access.scopes import Rules
from service.errors import Conflict, GoldenbenchError, Invalid, Unavailable
from studies.datasets.errors import UnknownDataset
from studies.fields import Problem, SpecError

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger("goldenbench.api")


def problem(
    status: int,
    title: str,
    detail: str,
    problems: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem+json answer.

    Args:
        status: HTTP status.
        title: what kind of problem, the same for each of its kind.
        detail: what is wrong here.
        problems: broken rules with their fields.
        headers: further headers.
    """
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if problems:
        body["errors"] = [{"field": broken.field, "rule": broken.rule} for broken in problems]
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def known(error: GoldenbenchError) -> JSONResponse:
    """The answer to one of our own errors."""
    wait = error.retry_after_seconds
    headers = None if wait is None else {"Retry-After": str(wait)}
    return problem(
        error.status, error.title, error.detail, error.problems if isinstance(error, Invalid) else (), headers
    )


def database_away(error: Exception) -> JSONResponse:
    """The answer while the database does not answer."""
    log.warning("database away", error=str(error)[:300])
    return known(Unavailable())


def install(app: FastAPI) -> None:
    """Give an app these answers."""

    @app.exception_handler(GoldenbenchError)
    def _known(_request: Request, error: GoldenbenchError) -> JSONResponse:
        return known(error)

    def _stored(_request: Request, error: Exception) -> JSONResponse:
        """A request's own specification is answered as Invalid; here a stored one cannot be read any more."""
        return problem(Conflict.status, Conflict.title, f"the study needs what is not installed here: {error}")

    app.add_exception_handler(SpecError, _stored)
    app.add_exception_handler(UnknownDataset, _stored)

    @app.exception_handler(RequestValidationError)
    def _parameters(_request: Request, error: RequestValidationError) -> JSONResponse:
        broken = [Problem(".".join(map(str, item["loc"][1:])), item["msg"]) for item in error.errors()]
        return problem(422, Invalid.title, "; ".join(map(str, broken)), broken)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        headers = dict(error.headers or {})
        if error.status_code == 405:  # Starlette names the methods of the first route with this path only
            headers["Allow"] = ", ".join(Rules(app).allowed(request.scope["path"]))
        return problem(error.status_code, str(error.detail), detail, headers=headers)

    def _database(_request: Request, error: Exception) -> JSONResponse:
        return database_away(error)

    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(PoolTimeout, _database)

    @app.exception_handler(DBAPIError)
    def _other_database(request: Request, error: DBAPIError) -> JSONResponse:
        return _database(request, error) if error.connection_invalidated else _unexpected(request, error)

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return problem(500, "Internal error", "An error of the service; its log says more.")
