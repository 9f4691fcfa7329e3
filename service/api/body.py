"""Request bodies: of bounded size, in bounded time; strict JSON."""

import asyncio
import json
from typing import Any, NoReturn

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import TooLarge, TooSlow, Unreadable
from studies.fields import Problem

MAX_BODY_BYTES = 256 * 1024
BODY_SECONDS = 30.0
"""9 kB/s for the largest body; a client that drips bytes would hold its request open for ever."""


async def json_body(request: Request) -> Any:
    """The parsed body of a request.

    Raises:
        TooLarge, TooSlow: as `read_body`.
        Unreadable: not JSON, or JSON with NaN, Infinity or nesting beyond reason.
    """
    content = await read_body(request)
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable([Problem("(body)", f"must be JSON: {str(error)[:200]}")]) from error


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        TooLarge: more than MAX_BODY_BYTES; no more than that is read.
        TooSlow: it has not come after BODY_SECONDS.
        Unreadable: the client went away; nobody reads the answer.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    raise TooLarge([Problem("(body)", f"must have at most {MAX_BODY_BYTES:,} bytes")])
    except TimeoutError:
        raise TooSlow(f"the body has to come within {BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise Unreadable([Problem("(body)", "must come to its end")]) from None
    return bytes(content)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def component(name: str) -> dict[str, Any]:
    """OpenAPI's reference to a document that some route answers with."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's description of a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
