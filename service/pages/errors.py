"""Errors for people: a browser that meets a problem gets it as a page, with the same status and headers."""

import json
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import MEDIA_TYPE
from service.dashboard import is_dashboards
from service.pages.rendering import respond

FOR_PROGRAMS = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/assets")
"""Addresses whose errors stay what the API says, whoever asks."""
HINTS = {
    403: "Forms work from this service's own pages only. Load the page again and send it from there.",
    404: "It may have been deleted, or the address may be incomplete.",
    503: "Nothing is lost. Load the page again in a few seconds.",
}


@dataclass(frozen=True)
class ErrorPage:
    """What a person is told."""

    status: int
    title: str
    detail: str
    hint: str
    errors: tuple[tuple[str, str], ...]
    """(field, rule)"""


class ErrorPages:
    """Turns problem+json into a page where a browser asks for one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not _wants_page(scope):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type") == MEDIA_TYPE:
                    held.append(message)
                    return
            elif held and message["type"] == "http.response.body":
                held.append(message)
                if not message.get("more_body", False):
                    await _page(scope, held)(scope, receive, send)
                return
            await send(message)

        await self._app(scope, receive, hold)


def _wants_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] == "HEAD" or is_dashboards(scope):
        return False
    path = scope["path"]
    if any(path == root or path.startswith(f"{root}/") for root in FOR_PROGRAMS):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _page(scope: Scope, held: list[Message]) -> ASGIApp:
    start, *bodies = held
    problem = json.loads(b"".join(body.get("body", b"") for body in bodies))
    errors = tuple((broken["field"], broken["rule"]) for broken in problem.get("errors", ()))
    page = ErrorPage(problem["status"], problem["title"], problem["detail"], HINTS.get(problem["status"], ""), errors)
    answer = respond(Request(scope), "error.html", page, problem["status"])
    kept = MutableHeaders(raw=list(start["headers"]))
    for name in ("content-type", "content-length"):
        del kept[name]
    for name, value in kept.items():
        answer.headers[name] = value
    return answer
