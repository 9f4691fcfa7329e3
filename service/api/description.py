"""The OpenAPI description, beyond what FastAPI finds out by itself: how errors look, and who may ask."""

from typing import Any

from fastapi import FastAPI

from service.access.scopes import NEEDED, Scope
from service.api.problems import MEDIA_TYPE

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": TEXT, "rule": TEXT},
                "required": ["field", "rule"],
                "additionalProperties": False,
            },
            "minItems": 1,
        },
    },
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
}
TOKEN = {"type": "http", "scheme": "bearer", "description": "A token of `goldenbench token create`"}
EVERYWHERE = {
    400: "Under a name that is not the service's",
    401: "No valid token, where one is required",
    403: "A token without the scope, or a change that a foreign page asks for",
    429: "Too much asked for; Retry-After says when it may be asked again",
    503: "Busy, or the database is away; Retry-After says when it may be asked again",
}
"""Answers that any request may get, by status."""
WITH_BODY = {408: "The body did not come in time", 413: "The body is too large"}
WITH_PARAMETERS = {422: "A rule is broken; `errors` names each field"}
WITH_ID = {404: "There is no such thing", 409: "Its state does not allow this"}


def install(app: FastAPI) -> None:
    """Complete an app's description; before it is asked for the first time."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            described(plain())
        return plain()

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's own way to do it


def described(schema: dict[str, Any]) -> None:
    """Complete a description in place."""
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)  # FastAPI's own, which `problems` replaces
            for status, why in errors(path, operation).items():
                content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                operation["responses"].setdefault(str(status), {"description": why, "content": content})
            needed = NEEDED.get(f"{method.upper()} {path}", Scope.ADMIN)
            # the empty alternative: on loopback nobody needs a token unless the service is told so
            operation["security"] = [] if needed is Scope.OPEN else [{"token": [needed.name.lower()]}, {}]
    schema["components"] = {"schemas": {"Problem": PROBLEM}, "securitySchemes": {"token": TOKEN}}


def errors(path: str, operation: dict[str, Any]) -> dict[int, str]:
    """What can go wrong with an operation, by status."""
    found = dict(EVERYWHERE)
    if "requestBody" in operation:
        found |= WITH_BODY
    if "requestBody" in operation or operation.get("parameters"):
        found |= WITH_PARAMETERS
    if "{" in path:
        found |= WITH_ID
    return dict(sorted(found.items()))
