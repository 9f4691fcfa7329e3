"""Fixtures of the service's tests."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from service_data import Service, TestClient, leader

from service.api.context import Context
from service.app import create_app
from service.config import Settings
from service.dispatch.leader import Leadership
from service.dispatch.status import DispatcherStatus
from service.metrics.exposed import Metrics, Sources
from service.record import find_number, open_storage
from service.reports import Reports
from service.store.engine import Store


@pytest.fixture
def leadership(store: Store) -> Iterator[Leadership]:
    """The right to dispatch on `store`."""
    held = leader(store)
    yield held
    held.release()


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """As services write them; structlog's own show every local variable, which takes seconds."""
    plain: Any = structlog.dev.plain_traceback
    structlog.configure([structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(exception_formatter=plain)])


@pytest.fixture(scope="session")
def computing_process() -> Iterator[ProcessPoolExecutor]:
    """One process that computes comparisons for all tests: each of its own would import numpy and scipy again."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@contextmanager
def served(store: Store, data: Path, **settings: Any) -> Iterator[Service]:
    """The app on a store as `service.server` builds it, with a made-up worker instead of a cluster."""
    storage = open_storage(store)
    worker = {"name": "cpu-0", "address": "tls://127.0.0.1:1", "device": "made up", "threads": 2}
    worker |= {"pid": 1, "pack": None, "study": None, "trainings_per_second": None}
    status = DispatcherStatus("leading", "connected", (worker,))
    metrics = Metrics(Sources(store, data, lambda: status, os.getpid()))
    context = Context(
        Settings(data=data, database_url=store.url, **settings),
        store,
        Reports(store, metrics.comparison),
        lambda: status,
        metrics,
        lambda name: find_number(storage, name),
    )
    app = create_app(context, storage)
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        yield Service(client, store, storage, data)
    storage.engine.dispose()


@pytest.fixture(autouse=True)
def _one_computing_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of every app share a process, which starts when the first comparison is asked for."""
    monkeypatch.setattr("service.reports._pool", lambda: request.getfixturevalue("computing_process"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Puts the app on a store, with settings by name."""
    with ExitStack() as stack:
        yield lambda store, **settings: stack.enter_context(served(store, tmp_path, **settings))


@pytest.fixture
def service(serve: Callable[[Store], Service], sqlite_store: Store) -> Service:
    """The app on SQLite."""
    return serve(sqlite_store)


@pytest.fixture
def client(service: Service) -> TestClient:
    """Talks to the app on SQLite."""
    return service.client


@pytest.fixture(scope="session")
def still(sqlite_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The app on an empty store, for all tests that change nothing."""
    data = tmp_path_factory.mktemp("still")
    shutil.copyfile(sqlite_origin, data / "goldenbench.db")
    store = Store(f"sqlite:///{data / 'goldenbench.db'}")
    with served(store, data) as service:
        yield service
    store.close()


@pytest.fixture(scope="module")
def guarded(sqlite_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The app where tokens are required, for all tests of a file."""
    data = tmp_path_factory.mktemp("guarded")
    shutil.copyfile(sqlite_origin, data / "goldenbench.db")
    store = Store(f"sqlite:///{data / 'goldenbench.db'}")
    with served(store, data, require_tokens=True, requests_per_second=1e6) as service:
        yield service
    store.close()
