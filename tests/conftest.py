"""Fixtures of all tests: a real PostgreSQL server, and stores on either database."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.record import open_storage
from service.store.engine import Store
from tests.private_postgresql import NoServer, PostgreSQL, open_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server; it ends with the session, also if the session is killed."""
    try:
        server = open_server()
    except NoServer as error:
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop_immediately()  # nothing in it is worth an orderly end
        shutil.rmtree(server.folder, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with Optuna's tables, to be copied."""
    path = tmp_path_factory.mktemp("origin") / "goldenbench.db"
    _set_up(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_origin(postgresql: PostgreSQL) -> str:
    """The name of a migrated PostgreSQL database with Optuna's tables, to be copied."""
    postgresql.execute("CREATE DATABASE origin")
    _set_up(postgresql.url("origin"))
    return "origin"


def _set_up(url: str) -> None:
    store = Store(url)
    store.migrate()
    open_storage(store).engine.dispose()
    store.close()


@contextmanager
def _fresh_database(server: PostgreSQL, template: str = "template1") -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    server.copy(template, name)
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database, of either kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'goldenbench.db'}"
    else:
        with _fresh_database(request.getfixturevalue("postgresql")) as url:
            yield url


@pytest.fixture
def sqlite_store(tmp_path: Path, sqlite_origin: Path) -> Iterator[Store]:
    """A fresh, migrated store on SQLite."""
    shutil.copyfile(sqlite_origin, tmp_path / "goldenbench.db")
    store = Store(f"sqlite:///{tmp_path / 'goldenbench.db'}")
    yield store
    store.close()


@pytest.fixture
def postgresql_store(postgresql: PostgreSQL, postgresql_origin: str) -> Iterator[Store]:
    """A fresh, migrated store on PostgreSQL."""
    with _fresh_database(postgresql, postgresql_origin) as url:
        store = Store(url)
        yield store
        store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """A fresh, migrated store on either database in turn, Optuna's tables beside ours."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found
