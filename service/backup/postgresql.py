"""PostgreSQL's side of backups: pg_dump and pg_restore of our own tables.

Optuna's tables stay out: they are a record of ours, which the service looks through when it starts and builds anew.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa
from psycopg import pq
from psycopg.conninfo import make_conninfo

from service.backup.contents import contents
from service.backup.manifest import Contents
from service.errors import SetupError
from service.store.engine import RESTORING, VERSION_TABLE, Store

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the tools of each version; on PATH it has one that chooses among them by rules of its own."""
LOCK_SECONDS = 10
"""How long a table that is to be replaced may be in use."""
TOLD = 500
"""Characters of a tool's complaint that are passed on."""


def take(store: Store, target: Path) -> tuple[Contents, int]:
    """Dump our tables, as they are at one moment, into a new file; writers go on meanwhile.

    Returns:
        What they hold, and the server's major version.

    Raises:
        SetupError: pg_dump is missing, older than the server, or fails.
    """
    snapshot = store.engine.execution_options(isolation_level="REPEATABLE READ")
    with snapshot.connect() as connection:
        server = server_version(connection)
        pg_dump = tool("pg_dump", server)
        found = contents(connection)
        name = connection.scalar(sa.select(sa.func.pg_export_snapshot()))
        flags = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}", f"--file={target}"]
        _run([pg_dump, *flags, "--table=gb_*", f"--table={VERSION_TABLE}"], store)
    return found, server


def replace(store: Store, dump: Path, made_on: int, expected: Contents) -> None:
    """Put the tables of a dump in the place of those of a database.

    Killed half-way, it leaves the database as it was, or marked so that no service starts on it.

    Args:
        store: whose lock the caller holds.
        dump: what `take` made.
        made_on: major version of the server it was made on.
        expected: what it holds.

    Raises:
        SetupError: pg_restore is missing, older than the server, or fails; or something still uses the tables.
    """
    with store.engine.connect() as connection:
        server = server_version(connection)
    if server < made_on:
        raise SetupError(f"the backup was made on PostgreSQL {made_on}, and this server is older: {server}")
    pg_restore = tool("pg_restore", server)
    _clear(store)
    name = make_conninfo(dbname=str(store.engine.url.database or ""))
    flags = ["--no-owner", "--no-privileges", "--single-transaction", f"--dbname={name}"]
    _run([pg_restore, *flags, str(dump)], store)
    with store.write() as session:
        session.execute(sa.text(f"DROP TABLE {RESTORING}"))
        if contents(session.connection()) != expected:
            raise SetupError("the restored database does not hold what the backup's manifest says")


def server_version(connection: sa.Connection) -> int:
    """The major version of a server."""
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000


def tool(name: str, server: int) -> str:
    """The newest tool of that name on this machine.

    Raises:
        SetupError: there is none, or it is older than the server.
    """
    found = {_version(path): path for path in _candidates(name)}
    if not found:
        raise SetupError(f"{name} is not installed; it comes with PostgreSQL's client programs")
    newest = max(found)
    if newest < server:
        raise SetupError(f"{name} is of PostgreSQL {newest}, and the server is {server}: install one as new as it")
    return found[newest]


def _candidates(name: str) -> list[str]:
    on_path = shutil.which(name)
    return [*map(str, DEBIAN.glob(f"*/bin/{name}")), *([on_path] if on_path else [])]


def _version(path: str) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    number = re.search(r"\) (\d+)", told)
    return int(number[1]) if number else 0


def _clear(store: Store) -> None:
    """Drop our tables and leave a mark, both or neither."""
    present = sa.inspect(store.engine).get_table_names()
    ours = [name for name in present if (name.startswith("gb_") or name == VERSION_TABLE) and name != RESTORING]
    quoted = ", ".join(store.engine.dialect.identifier_preparer.quote(name) for name in ours)
    try:
        with store.write() as session:
            session.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            if RESTORING not in present:
                session.execute(sa.text(f"CREATE TABLE {RESTORING} (since timestamptz NOT NULL DEFAULT now())"))
            if ours:
                session.execute(sa.text(f"DROP TABLE {quoted}"))
    except sa.exc.OperationalError as error:
        raise SetupError(f"something still uses the database ({str(error.orig).strip()}); stop it first") from error


def _run(command: list[str], store: Store) -> None:
    """Run a tool on a store's database; where that is, and the password, goes through the environment."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PGDATABASE", "PGSERVICE")}
    done = subprocess.run(
        command, env=environment | _connection(store), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise SetupError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-TOLD:]}")


def _connection(store: Store) -> dict[str, str]:
    """The environment variables that lead libpq to a store's database.

    Raises:
        SetupError: its address has a part that no variable can say.
    """
    parts = store.engine.url.get_dialect()().create_connect_args(store.engine.url)[1]
    known = {one.keyword.decode(): one.envvar for one in pq.Conninfo.get_defaults()}
    found = {}
    for name, value in parts.items():
        variable = known.get(name)
        if variable is None:
            raise SetupError(f"the database's address has {name}, which PostgreSQL's client programs cannot be told")
        found[variable.decode()] = str(value)
    return found
