"""The ASGI app: routes, pages, errors, and the dashboard's gate around them."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import answers, catalog, data, operations, plots, problems, studies, suites
from service.api.context import Context
from service.dashboard import DashboardGate, is_dashboards
from service.guard import Guard
from service.pages import routes as pages

CONTENT_POLICY = (
    b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
POLICY = b"content-security-policy"
SAFE_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


def create_app(context: Context, storage: Any) -> FastAPI:
    """Build the app.

    Args:
        context: what its routes share.
        storage: Optuna's storage, for the dashboard.
    """
    app = FastAPI(
        title="goldenbench",
        version=version("goldenbench"),
        summary="Does a prescribed learning rate and momentum sit near the empirical optimum?",
        docs_url=None,  # the built-in page loads its scripts from a stranger's server; ours is in service.pages
        redoc_url=None,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    problems.install(app)
    parts = (studies, suites, data, answers, plots, catalog, operations, pages)
    for router in (part.router for part in parts):
        app.include_router(router)
    pages.mount_static(app)

    app.add_middleware(DashboardGate, storage=storage)
    app.add_middleware(Guard)
    app.add_middleware(SafeHeaders)
    return app


class SafeHeaders:
    """Adds the headers that keep a browser from guessing types, running foreign scripts or telling where it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *SAFE_HEADERS]
                own = is_dashboards(scope) or any(name == POLICY for name, _ in headers)
                if not own:  # the dashboard has inline styles, a picture a stricter policy of its own
                    headers.append((POLICY, CONTENT_POLICY))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, with_headers)
