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
ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("Under a name that is not the service's, or a body that is not JSON", "Unknown host", "Host: must name ..."),
    401: ("No valid token, where one is required", "No valid token", "GET /v1/studies needs a valid token: ..."),
    403: (
        "A token without the scope, or a change that a foreign page asks for",
        "Forbidden",
        "DELETE /v1/studies/5d0c6a1be0f3 needs a token with the scope admin; this one has submit",
    ),
    404: ("There is no such thing", "Not found", "there is no study '5d0c6a1be0f3'"),
    408: ("The body did not come in time", "Request timeout", "the body has to come within 30 s"),
    409: (
        "Its state does not allow this",
        "Conflict",
        "the study is completed and cannot be changed any more",
    ),
    413: ("The body is too large", "Body too large", "(body): must have at most 262,144 bytes"),
    422: (
        "A rule is broken; `errors` names each field",
        "Invalid request",
        "runs: must be a whole number from 1 to 10,000, not 0",
    ),
    429: (
        "Too much asked for; Retry-After says when it may be asked again",
        "Too many requests",
        "this is more than GOLDENBENCH_REQUESTS_PER_SECOND; the next request may come in 1 s",
    ),
    503: (
        "Busy, or the database is away; Retry-After says when it may be asked again",
        "Temporarily unavailable",
        "The database does not answer at the moment",
    ),
}
"""What can go wrong, by status: the description, and the title and detail of an example."""
FIELDS = {400: ("(body)", "must be JSON"), 413: ("(body)", "must have at most 262,144 bytes")}
FIELDS[422] = ("runs", "must be a whole number from 1 to 10,000, not 0")
WITHOUT_CONFLICT = frozenset({"get_study", "get_cells", "get_replicates", "get_packs", "get_events", "get_suite"})
"""Operations on one thing that its state never forbids."""
READING = ("get", "head")


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
            needed = NEEDED.get(f"{method.upper()} {path}", Scope.ADMIN)
            operation["responses"].pop("422", None)  # FastAPI's own, which `problems` replaces
            for status in errors(path, method, operation, needed):
                operation["responses"].setdefault(str(status), _response(status))
            # the empty alternative: on loopback nobody needs a token unless the service is told so
            operation["security"] = [] if needed is Scope.OPEN else [{"token": [needed.name.lower()]}, {}]
    documents = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own
        documents.pop(name, None)
    documents["Problem"] = PROBLEM
    for name, document in documents.items():
        documents[name] = _without_titles(document)
    schema["components"]["securitySchemes"] = {"token": TOKEN}


def errors(path: str, method: str, operation: dict[str, Any], needed: Scope) -> list[int]:
    """What can go wrong with an operation, by status.

    Args:
        path: as declared.
        method: in small letters.
        operation: its description.
        needed: the scope that it takes.
    """
    found = {400} if needed is Scope.OPEN else {400, 401, 429, 503}  # what is open is not limited either
    if needed > Scope.READ or method not in READING:
        found.add(403)
    if "requestBody" in operation:
        found |= {408, 413}
    if "requestBody" in operation or operation["operationId"] == "get_pair" or _has_rules(operation):
        found.add(422)
    if "{" in path:
        found.add(404)
        if operation["operationId"] not in WITHOUT_CONFLICT:
            found.add(409)
    return sorted(found)


def _has_rules(operation: dict[str, Any]) -> bool:
    """Whether a parameter may be refused; an id that nothing has is not found, a header is read as far as it goes."""
    return any(one["in"] == "query" or "enum" in one["schema"] for one in operation.get("parameters", ()))


def _response(status: int) -> dict[str, Any]:
    why, title, detail = ERRORS[status]
    example: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if status in FIELDS:
        field, rule = FIELDS[status]
        example["errors"] = [{"field": field, "rule": rule}]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    response: dict[str, Any] = {"description": why, "content": content}
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return response


def _without_titles(value: Any) -> Any:
    """A schema without the titles that pydantic makes from the names; descriptions on one line."""
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: _without_titles(item) for name, item in value.items() if not (name == "title" and isinstance(item, str))
    }
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept
