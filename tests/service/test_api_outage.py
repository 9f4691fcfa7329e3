"""The database goes away: 503 with Retry-After, never a traceback, and everything works when it is back."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from service_data import Service, small, submit

from service.store.engine import Store

ROUTES = [
    ("GET", "/v1/studies"),
    ("POST", "/v1/studies"),
    ("POST", "/v1/estimates"),
    ("GET", "/v1/studies/0123456789ab"),
    ("POST", "/v1/studies/0123456789ab/cancel"),
    ("GET", "/v1/studies/0123456789ab/comparison"),
    ("GET", "/v1/studies/0123456789ab/events"),
    ("GET", "/v1/studies/0123456789ab/replicates?format=csv"),
    ("GET", "/"),
    ("GET", "/studies/0123456789ab"),
]


def take_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the store at an address where no server listens, as while one starts again."""
    away = sa.create_engine("postgresql+psycopg://127.0.0.1:1/nothing?connect_timeout=2")
    monkeypatch.setattr(service.store, "engine", away)
    monkeypatch.setattr(service.store, "_writing", away)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_request_is_told_to_come_back_when_the_database_is_away(
    still: Service, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    take_away(still, monkeypatch)
    answer = still.client.request(method, path, json=small() if method == "POST" else None)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


def test_readiness_says_what_is_missing_and_the_process_lives(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(service, monkeypatch)
    answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"].startswith("away")
    assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/v1/derived").status_code == 200
    monkeypatch.undo()
    assert service.client.get("/readyz").status_code == 200


def test_pooled_connections_that_died_are_replaced(serve: Callable[[Store], Service], postgresql_store: Store) -> None:
    """A restart of PostgreSQL kills every connection in the pool."""
    service = serve(postgresql_store)
    study_id = submit(postgresql_store)
    assert service.client.get(f"/v1/studies/{study_id}").status_code == 200
    killer = sa.create_engine(postgresql_store.url)
    with killer.begin() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        assert connection.execute(sa.text(others + "pg_backend_pid()")).all()
    killer.dispose()
    assert service.client.get(f"/v1/studies/{study_id}").status_code == 200


def test_connection_that_dies_within_a_request_is_an_outage(
    serve: Callable[[Store], Service], postgresql_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(postgresql_store)
    killer = sa.create_engine(postgresql_store.url)

    def die(*_arguments: object) -> None:
        with killer.begin() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
            connection.execute(sa.text(others + "pid <> pg_backend_pid()"))

    sa.event.listen(postgresql_store.engine, "before_cursor_execute", die)
    answer = service.client.get("/v1/studies")
    sa.event.remove(postgresql_store.engine, "before_cursor_execute", die)
    killer.dispose()
    assert answer.status_code == 503
    assert service.client.get("/v1/studies").status_code == 200
