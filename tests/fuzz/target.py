"""The real app behind a real HTTP server, with studies in every state and made-up results instead of workers."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from sqlalchemy.orm import Session

from service import suites
from service.access import tokens
from service.access.scopes import Scope
from service.api.context import Context
from service.app import create_app
from service.config import Settings
from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.dispatch.status import DispatcherStatus
from service.lifecycle import TERMINAL, Desired, Status
from service.metrics.exposed import Metrics, Sources
from service.record import find_number, open_storage
from service.reports import Reports
from service.server import _config
from service.store.engine import Store
from service.store.queries import unsettled_studies
from service.store.tables import Study
from studies.datasets.errors import UnknownDataset
from studies.fields import SpecError
from tests.service.service_data import MANY, NUMERIC_CLASS, SHA256, leader, results, small, submit
from tests.suite_data import suite

WORTHWHILE = 200
"""Trainings up to which a study gets results; larger ones stay queued."""
MADE_UP = {"name": "cpu-0", "address": "tls://127.0.0.1:1", "device": "made up", "threads": 2, "pid": 1}
MADE_UP |= {"pack": None, "study": None, "trainings_per_second": None}


@dataclass(frozen=True)
class Target:
    """Where the app answers, and a token that may do everything."""

    url: str
    token: str


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Serve the app from a data folder until the block ends."""
    settings = Settings(data=folder, require_tokens=True, requests_per_second=1e6)
    store = Store(settings.store_url)
    store.migrate()
    storage = open_storage(store)
    with store.write() as session:
        token = tokens.create(session, "fuzz", Scope.ADMIN)[1]
    reports = Reports(store)
    status = DispatcherStatus("leading", "connected", (MADE_UP,))
    sources = Sources(store, folder, lambda: status, os.getpid())
    context = Context(
        settings,
        store,
        reports,
        lambda: status,
        Metrics(sources),
        lambda name: find_number(storage, name),
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(_config(settings, create_app(context, storage)))
    stop = threading.Event()
    threads = [
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
        threading.Thread(target=_dispatch, args=(store, folder, leader(store), stop)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield Target(f"http://127.0.0.1:{listener.getsockname()[1]}", token)
    finally:
        stop.set()
        server.should_exit = True
        for thread in threads:
            thread.join(20)
        reports.close()
        storage.engine.dispose()
        store.close()


def _dispatch(store: Store, data: Path, leadership: Leadership, stop: threading.Event) -> None:
    """What a dispatcher does, by its own functions, with results that are made up at once."""
    for number in range(3):
        for changes in ({}, {"name": "=1+1 <b>", "runs": 2}, {"racing": True, "runs": 10}):
            submit(store, **small(seed=number) | changes)
        suites.submit(store, suites.check(suite(name=f"suite {number}"), data), None)
    while not stop.wait(0.1):
        with store.read() as session:
            waiting = [study.id for study in unsettled_studies(session)]
        for study_id in waiting:
            with leadership.transaction() as session:
                _step(session, study_id)
    leadership.release()


def _step(session: Session, study_id: str) -> None:
    """Move a study one step on."""
    study = session.query(Study).filter(Study.id == study_id).one()
    if study.desired == Desired.DELETE:
        accept.delete_study(session, study_id)
        return
    status = accept.settle(session, study)
    if status in TERMINAL or status is Status.PAUSED or study.total > WORTHWHILE:
        return
    try:
        accept.open_study(session, study_id, SHA256, images=10_000)
    except (SpecError, UnknownDataset) as error:
        accept.fail_study(session, study_id, str(error))
        return
    lease = accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS)
    if lease is not None:
        accept.accept(session, [accept.Arrival(lease.pack, lease.attempt, results(lease), 3.0)])
