"""Specifications, results and stored studies for the tests of the service."""

import secrets
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.storages import RDBStorage

from service import submission
from service.dispatch import accept, quarantine
from service.dispatch.leader import Leadership
from service.planner import Capacity
from service.store.engine import Store
from service.store.tables import Cell, Pack, Replicate, Study
from studies.grid import cells
from studies.results import Curve, Outcome, TrainingResult
from studies.spec import StudySpec

with warnings.catch_warnings():  # starlette asks for httpx2, which nothing else here needs
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

NUMERIC_CLASS = "packed-cpu/1/fp32/avx2"
SHA256 = "5" * 64
MANY = Capacity(networks=256, networks_per_pack_time=256, at_once=1)


@dataclass(frozen=True)
class Service:
    """An app without a dispatcher, and what lies behind it."""

    client: TestClient
    store: Store
    storage: RDBStorage
    data: Path


def small(**changes: Any) -> dict[str, Any]:
    """A study of 3 x 1 grid points with two references: 5 cells, 2 folds, 1 run, 10 trainings."""
    document = {
        "name": "small",
        "dataset": "rotated-digits",
        "loss": "dual-process",
        "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"factor": 2, "steps": 0}},
        "references": ["matlab", "plain"],
        "folds": 5,
        "folds_used": 2,
        "runs": 1,
        "epochs": 2,
    }
    return document | changes


def submit(store: Store, **changes: Any) -> str:
    """Submit a small study; its id."""
    spec = StudySpec.from_json(small(**changes))
    study, _ = submission.submit(store, submission.Checked(spec, cells(spec)), None)
    return study.id


def leader(store: Store) -> Leadership:
    """The right to dispatch on a store, newly won; PostgreSQL takes a moment to free the lock of one that left."""
    leadership = Leadership(store)
    deadline = time.monotonic() + 10
    while not leadership.acquire():
        assert time.monotonic() < deadline, "somebody else leads"
        time.sleep(0.02)
    return leadership


def opened(store: Store, leadership: Leadership, **changes: Any) -> str:
    """Submit a small study and open it; its id."""
    study_id = submit(store, **changes)
    with leadership.transaction() as session:
        accept.open_study(session, study_id, SHA256, images=10_000)
    return study_id


def lease(leadership: Leadership, study_id: str, capacity: Capacity = MANY, worker: str = "cpu-0") -> accept.Lease:
    """Lease the next pack; there has to be one."""
    with leadership.transaction() as session:
        found = accept.lease(session, study_id, capacity, worker, NUMERIC_CLASS)
    assert found is not None
    return found


def size(networks: int) -> Capacity:
    """A slot that takes so many networks at once."""
    return Capacity(networks=networks, networks_per_pack_time=networks, at_once=1)


def accuracy_of(cell: int, fold: int, run: int) -> float:
    """A made-up accuracy: the higher the cell the better, with a little of fold and run."""
    return 0.9 + cell / 100 + fold / 1000 + run / 10_000


def result(cell: int, fold: int, run: int, **changes: Any) -> TrainingResult:
    """A made-up result."""
    fields: dict[str, Any] = {
        "cell": cell,
        "fold": fold,
        "run": run,
        "outcome": Outcome.FINISHED,
        "accuracy": accuracy_of(cell, fold, run),
        "brier": 0.2 - cell / 100,
        "loss": 0.5,
        "train_loss": 0.25 - cell / 100,
        "curve": Curve((0.5, 0.9), (1.0, 0.5), (1.0, 0.25)),
        "correct": b"\xff\x00",
        "seconds": 1.5,
        "engine": "packed-cpu",
        "precision": "fp32",
        "device": "made up",
        "numeric_class": NUMERIC_CLASS,
    }
    return TrainingResult(**(fields | changes))


def results(lease: accept.Lease) -> list[TrainingResult]:
    """A made-up result for each member of a lease."""
    return [result(*member.key) for member in lease.members]


def take_in(leadership: Leadership, lease: accept.Lease, given: Sequence[TrainingResult] | None = None) -> bool:
    """Accept a lease's results."""
    with leadership.transaction() as session:
        return accept.accept(session, [accept.Arrival(lease.pack, lease.attempt, given or results(lease), 3.0)])[0]


def complete(leadership: Leadership, study_id: str) -> None:
    """Lease and accept until nothing is pending."""
    while True:
        with leadership.transaction() as session:
            found = accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS)
        if found is None:
            return
        assert take_in(leadership, found)


def charge(leadership: Leadership, lease: accept.Lease, evidence: str, fits: bool = True) -> quarantine.Fate | None:
    """Charge a failed attempt to a lease."""
    with leadership.transaction() as session:
        return quarantine.charge(session, lease.pack, lease.attempt, evidence, fits)


def wish(store: Store, study_id: str, desired: str) -> None:
    """Write what a user wants of a study, as the API does."""
    with store.write() as session:
        wanted = {"desired": desired, "revision": Study.revision + 1}
        session.execute(sa.update(Study).where(Study.id == study_id).values(wanted))


def settle(leadership: Leadership, study_id: str) -> str:
    """Have the dispatcher carry out what users want; the status after it."""
    with leadership.transaction() as session:
        study = session.scalars(sa.select(Study).where(Study.id == study_id)).one()
        return str(accept.settle(session, study))


def row(store: Store, study_id: str) -> Study:
    """A study's row."""
    with store.read() as session:
        return session.scalars(sa.select(Study).where(Study.id == study_id)).one()


def rows(store: Store, table: type[Any], study_id: str) -> list[Any]:
    """All rows of a study in a table."""
    order = {Cell: (Cell.cell,), Pack: (Pack.ordinal,), Replicate: (Replicate.cell, Replicate.fold, Replicate.run)}
    with store.read() as session:
        query = sa.select(table).where(table.study_id == study_id).order_by(*order[table])
        return list(session.scalars(query))


def insert_replicates(store: Store, study_id: str, given: Sequence[TrainingResult]) -> None:
    """Store results as one pack that is done."""
    with store.write() as session:
        pack = Pack(id=secrets.token_hex(6), study_id=study_id, state="done", attempt=1, worker="cpu-0")
        pack.members, pack.seconds, pack.log = [list(one.key) for one in given], 3.0, ""
        session.add(pack)
        session.flush()
        study = session.scalars(sa.select(Study).where(Study.id == study_id)).one()
        accept.store_results(session, study, [(pack, given)])
