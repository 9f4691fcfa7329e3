"""SQLite's side of backups: a copy made beside a running service, and its exchange for the present file."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from service.backup.contents import contents
from service.backup.manifest import Contents
from service.errors import SetupError
from service.store.engine import BUSY_SECONDS, Store

SIDES = ("-wal", "-shm")
"""Ends of the names of files that belong to a database."""


def path_of(store: Store) -> Path:
    """The file of a store."""
    return Path(store.url.removeprefix("sqlite:///"))


def take(store: Store, target: Path) -> Contents:
    """Copy a database, as it is at one moment, into a new file; writers go on meanwhile.

    Raises:
        SetupError: there is none, or it is damaged.
    """
    source = path_of(store)
    if not source.exists():
        raise SetupError(f"there is no database at {source}")
    try:
        with closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as from_, closing(sqlite3.connect(target)) as to:
            from_.backup(to)  # in one step: one that waits between pages begins again whenever somebody writes
            to.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
    except sqlite3.DatabaseError as error:
        raise SetupError(f"{source} cannot be copied: {error}") from error
    return check(target)


def check(file: Path) -> Contents:
    """Look through a copy and say what it holds.

    Raises:
        SetupError: it is damaged.
    """
    try:
        with _reading(file) as connection:
            told = connection.exec_driver_sql("PRAGMA quick_check").scalar()
            if told != "ok":
                raise SetupError(f"the database is damaged: {told}")
            return contents(connection)
    except sa.exc.DatabaseError as error:
        raise SetupError(f"the database is damaged: {error.orig}") from error


@contextmanager
def _reading(file: Path) -> Iterator[sa.Connection]:
    """A connection that changes nothing, not even the file's journal mode."""
    address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def replace(store: Store, staged: Path) -> None:
    """Put a copy in the place of a database; killed at any moment, it leaves the one or the other.

    Args:
        store: whose lock the caller holds.
        staged: a whole database in the same folder.

    Raises:
        SetupError: something still uses the database.
    """
    path = path_of(store)
    store.close()
    if path.exists():
        _fold(path)
    for side in SIDES:  # one that was left behind would be replayed into the new file
        _move_aside(path.with_name(path.name + side))
    os.replace(staged, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _fold(path: Path) -> None:
    """Fold the log of a database into it, which needs that nobody else has it open; a damaged one is moved aside."""
    try:
        with closing(sqlite3.connect(path, timeout=1.0)) as connection:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise SetupError(f"something still uses {path} ({error}); stop it first") from error
    except sqlite3.DatabaseError:
        _move_aside(path)
        return
    if mode != "delete":
        raise SetupError(f"something still uses {path}; stop it first")


def _move_aside(path: Path) -> None:
    if path.exists():
        os.replace(path, path.with_name(f"{path.name}.damaged"))
