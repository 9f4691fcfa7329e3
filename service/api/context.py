"""What the routes share: one per app, reached through `app.state`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.access.principal import Principal
from service.config import Settings
from service.dispatch.status import DispatcherStatus
from service.metrics.exposed import Metrics
from service.reports import Reports
from service.store.engine import Store


@dataclass(frozen=True)
class Context:
    """The parts of a running service that its routes use."""

    settings: Settings
    store: Store
    reports: Reports
    dispatcher: Callable[[], DispatcherStatus]
    """How this service's dispatcher fares."""
    metrics: Metrics
    optuna_number: Callable[[str], int | None]
    """Optuna's number of a study by its name in Optuna's tables; None while it is not recorded."""


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _caller(request: Request) -> Principal:
    caller: Principal = request.state.principal
    return caller


Shared = Annotated[Context, Depends(_context)]
Caller = Annotated[Principal, Depends(_caller)]
