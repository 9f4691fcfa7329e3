"""A database of the first schema goes on under this program; one of a later program is left alone."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from service_data import NUMERIC_CLASS, SHA256, Service, complete, opened, result, row, rows, small, submit

from service.access.scopes import NEEDED
from service.dispatch.leader import Leadership
from service.errors import SetupError
from service.store.engine import VERSION_TABLE, Store
from service.store.tables import Cell, Pack, Replicate

OLD = "0123456789ab"
"""Id of the study."""
SPEC = (
    '{"batch_size":128,"bn_statistics":"population","claim":{"confidence":0.95,"margin":0.001,"metric":"accuracy"},'
    '"dataset":"rotated-digits","engine":"auto","epochs":2,"folds":5,"folds_used":2,"grid":{"learning_rate":'
    '{"factor":2.0,"steps":1},"momentum":{"factor":2.0,"steps":0}},"loss":"dual-process","model":"paper-cnn",'
    '"name":"small","precision":"fp32","prescribed":"golden","priority":0,"racing":false,"references":["matlab",'
    '"plain"],"runs":1,"schema":1,"seed":0,"weight_decay":0.0001}'
)
"""As the first version stored it; every later one has to read it."""
POINTS = (
    (0.015912, 0.87397, ["golden"], True),
    (0.007956, 0.87397, [], True),
    (0.031824, 0.87397, [], True),
    (0.01, 0.9, ["matlab"], False),
    (0.01, 0.0, ["plain"], False),
)
"""Learning rate, momentum, labels and whether it is in the grid, of each cell."""
BEGAN, ENDED = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), datetime(2026, 1, 2, 4, 0, 0, 0, UTC)


def of_the_first_schema(store: Store) -> None:
    """Make the first schema by its own migration, and store a finished study as the first version did."""
    command.upgrade(store._alembic(), "0001")
    tables = sa.MetaData()
    tables.reflect(store.engine, only=[f"gb_{name}" for name in ("studies", "cells", "packs", "replicates")])
    keys = [list(key) for key in itertools.product(range(5), range(2), range(1))]
    replicates = [
        {
            name: getattr(one, name)
            for name in ("cell", "fold", "run", "accuracy", "brier", "loss", "train_loss", "correct", "seconds")
        }
        | {"engine": one.engine, "precision": one.precision, "device": one.device, "numeric_class": NUMERIC_CLASS}
        | {"outcome": one.outcome.value, "curve": one.curve.to_json(), "study_id": OLD, "pack": "p1", "attempt": 1}
        for one in (result(*key) for key in keys)
    ]
    study = {"id": OLD, "name": "small", "fingerprint": "f" * 64, "spec": SPEC, "priority": 0, "runs": 1, "total": 10}
    study |= {"desired": "run", "status": "completed", "done": 10, "revision": 7, "dataset_sha256": SHA256}
    study |= {"numeric_class": NUMERIC_CLASS, "images": 10_000, "recorded": "completed"}
    moments = {"created_at": BEGAN, "started_at": BEGAN, "finished_at": ENDED}
    cells = [
        {"study_id": OLD, "cell": cell, "learning_rate": rate, "momentum": alpha, "labels": labels, "in_grid": in_grid}
        | {"n": 2, "diverged": 0, "failed": 0, "recorded_n": 2}
        for cell, (rate, alpha, labels, in_grid) in enumerate(POINTS)
    ]
    pack = {"id": "p1", "study_id": OLD, "state": "done", "members": keys, "attempt": 1, "charged": 0, "seconds": 3.0}
    pack |= {"worker": "cpu-0", "epochs_done": 20, "log": ""}
    with store.write() as session:
        for name, values in (
            ("gb_studies", [study | moments]),
            ("gb_cells", cells),
            ("gb_packs", [pack | moments]),
            ("gb_replicates", replicates),
        ):
            session.execute(sa.insert(tables.tables[name]), values)


def reference(service: Service) -> Any:
    """The answer to the same study, from a store that never was of another schema."""
    held = Leadership(service.store)
    assert held.acquire()
    study_id = opened(service.store, held, **small())
    complete(held, study_id)
    held.release()
    return service.client.get(f"/v1/studies/{study_id}/comparison").json() | {"study": OLD}


def test_study_of_the_first_schema_keeps_its_data_and_its_answer(
    database: str, serve: Callable[[Store], Service], service: Service
) -> None:
    store = Store(database)
    of_the_first_schema(store)
    store.migrate()
    assert store.revision() == store.revisions[-1]
    study = row(store, OLD)
    assert (study.created_at, study.finished_at, study.spec, study.shown) == (BEGAN, ENDED, SPEC, "completed")
    stored = {(one.cell, one.fold, one.run): one.accuracy for one in rows(store, Replicate, OLD)}
    assert stored == {key: result(*key).accuracy for key in itertools.product(range(5), range(2), range(1))}
    assert [one.labels for one in rows(store, Cell, OLD)] == [labels for _, _, labels, _ in POINTS]
    assert [pack.state for pack in rows(store, Pack, OLD)] == ["done"]
    client = serve(store).client
    assert client.get(f"/v1/studies/{OLD}/comparison").json() == reference(service)
    assert client.get(f"/v1/studies/{OLD}/replicates").json()["items"][0]["accuracy"] == result(0, 0, 0).accuracy
    for route in ("", "/cells", "/packs", "/manifest"):
        assert client.get(f"/v1/studies/{OLD}{route}").status_code == 200, route
        assert f"GET /v1/studies/{{study_id}}{route}" in NEEDED
    assert client.post(f"/v1/studies/{OLD}/extend", json={"runs": 1}).status_code == 200
    store.close()


def test_database_of_a_later_program_is_refused_and_left_alone(store: Store) -> None:
    study_id = submit(store)
    with store.write() as session:
        session.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        session.execute(sa.text("ALTER TABLE gb_studies ADD COLUMN from_the_future INTEGER"))
    with pytest.raises(SetupError, match=r"schema 9999, and goldenbench .* knows those up to .* later version"):
        store.migrate()
    assert store.revision() == "9999"
    assert row(store, study_id).name == "small"
    assert "from_the_future" in {column["name"] for column in sa.inspect(store.engine).get_columns("gb_studies")}


def test_service_that_meets_a_later_schema_says_so(service: Service) -> None:
    with service.store.write() as session:
        session.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"][0].startswith("the schema of the database is 9999, and this program works with 00")
