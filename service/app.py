"""The ASGI app: routes, pages, errors; around them the dashboard's gate, the door, and limits."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from service.access.scopes import Rules
from service.api import answers, catalog, data, description, operations, plots, problems, studies, suites
from service.api.context import Context
from service.dashboard import DashboardGate
from service.door import Door
from service.guard import Guard, own_names
from service.headers import SafeHeaders
from service.limits import Crowd, Rate
from service.measured import Measured, RouteNames
from service.pages import login
from service.pages import routes as pages
from service.pages.errors import ErrorPages


def create_app(context: Context, storage: Any) -> FastAPI:
    """Build the app.

    Args:
        context: what its routes share.
        storage: Optuna's storage, for the dashboard.
    """
    app = App(
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
    description.install(app)
    parts = (studies, suites, data, answers, plots, catalog, operations, login)
    for router in (part.router for part in parts):
        app.include_router(router)
    pages.install(app)

    app.add_middleware(DashboardGate, storage=storage)
    chosen = context.settings
    rate = Rate(chosen.requests_per_second)
    app.add_middleware(Door, store=context.store, rules=Rules(app), required=chosen.tokens_required, rate=rate)
    app.add_middleware(Crowd, most=chosen.max_requests)
    app.add_middleware(Guard, names=own_names(chosen))
    return app


class App(FastAPI):
    """FastAPI with our headers and pages of errors around everything, its own answers to unexpected errors included.

    `state.context` is what its routes share.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Put the parts around the routes together."""
        context: Context = self.state.context
        safe = SafeHeaders(ErrorPages(super().build_middleware_stack()))
        return Measured(safe, RouteNames(self), context.metrics.request, context.settings.log_requests)
