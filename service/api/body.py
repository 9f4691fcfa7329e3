"""Request bodies: strict JSON of bounded size."""

import json
from typing import Any, NoReturn

from fastapi import Request

from service.errors import TooLarge, Unreadable
from studies.fields import Problem

MAX_BODY_BYTES = 256 * 1024


async def json_body(request: Request) -> Any:
    """The parsed body of a request.

    Raises:
        TooLarge: more than MAX_BODY_BYTES; no more than that is read.
        Unreadable: not JSON, or JSON with NaN, Infinity or nesting beyond reason.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise TooLarge([Problem("(body)", f"must have at most {MAX_BODY_BYTES:,} bytes")])
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable([Problem("(body)", f"must be JSON: {str(error)[:200]}")]) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's description of a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
