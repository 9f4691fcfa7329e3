"""Headers on every answer that keep a browser from doing harm with it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.dashboard import is_dashboards

POLICY = b"content-security-policy"
_EVERYWHERE = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
CONTENT_POLICY = f"{_EVERYWHERE}; img-src 'self' data:".encode()
DASHBOARD_POLICY = (
    f"{_EVERYWHERE}; img-src 'self' data: blob:; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
).encode()
"""Optuna's pages set styles in line, and their WebGL plots compile functions from text; no script in line, no other
server's."""
SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # under no-referrer a browser names no origin with a form of ours
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class SafeHeaders:
    """Adds headers that keep a browser from guessing types, running foreign scripts or telling where it was.

    It stands around everything else, so that answers to unexpected errors have them too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        dashboards = is_dashboards(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *SAFE_HEADERS]
                if dashboards:  # its own policy lets other sites frame it
                    headers = [(name, value) for name, value in headers if name.lower() != POLICY]
                    headers.append((POLICY, DASHBOARD_POLICY))
                elif not any(name == POLICY for name, _ in headers):  # a picture has a stricter one of its own
                    headers.append((POLICY, CONTENT_POLICY))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, with_headers)
