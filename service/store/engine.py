"""The database engine and the only place that commits."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

from service import crash_points
from service.errors import SetupError

BUSY_SECONDS = 60
"""How long SQLite waits for another writer before it gives up."""
VERSION_TABLE = "goldenbench_version"
"""Alembic's table of ours; Optuna owns `alembic_version`."""
RESTORING = "gb_restoring"
"""A table that is there while a restore replaces the others."""


class Store:
    """One database. `read` and `write` are the transactions; nothing else commits.

    Args:
        url: SQLAlchemy address, SQLite or PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        elif url.startswith("postgresql"):
            self.engine = sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        else:
            raise SetupError(f"the database must be SQLite or PostgreSQL, not {_without_password(url)}")
        self._writing = self.engine.execution_options(goldenbench_writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self, what: str = "") -> Iterator[Session]:
        """A transaction that writes; committed at its end, rolled back if the body raises.

        On SQLite it takes the write lock at once: a reader that turns into a writer can be refused without waiting.

        Args:
            what: its name among `crash_points.TRANSACTIONS`.
        """
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session
            crash_points.reach(what, "before-commit")
        crash_points.reach(what, "after-commit")

    def migrate(self) -> None:
        """Bring the schema to the present version.

        Raises:
            SetupError: a later version of goldenbench has written the database, or a restore into it was cut short.
        """
        if sa.inspect(self.engine).has_table(RESTORING):
            raise SetupError("a restore of this database was cut short: run `goldenbench restore` again, with --force")
        present = self.revision()
        if present is not None and present not in self.revisions:
            raise SetupError(
                f"the database has schema {present}, and goldenbench {version('goldenbench')} knows those up to "
                f"{self.revisions[-1]}: a later version has written it. Install that one, or restore a backup from "
                "before the upgrade"
            )
        command.upgrade(self._alembic(), "head")

    def revision(self) -> str | None:
        """The schema's version; None for a database without one."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()

    @cached_property
    def revisions(self) -> tuple[str, ...]:
        """The versions of the schema that this program knows, oldest first."""
        known = ScriptDirectory.from_config(self._alembic()).walk_revisions()
        return tuple(reversed([script.revision for script in known]))

    def _alembic(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self._writing
        return config

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged submission survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("goldenbench_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _without_password(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//", url)
