"""Leadership: one dispatcher per database, held by a lock that dies with its process and fenced by an epoch."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.errors import LeadershipLost
from service.store.engine import Store
from service.store.tables import Leader

LOCK_NUMBER = 0x601D_E27B
"""PostgreSQL's advisory lock of the dispatcher (an arbitrary number of ours)."""


class Leadership:
    """The right to dispatch.

    The lock (a locked file beside SQLite, an advisory lock in PostgreSQL) makes a second dispatcher wait; the epoch
    makes the transactions of one that lost its lock without noticing fail.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._epoch: int | None = None
        self._file: IO[str] | None = None
        self._connection: sa.Connection | None = None

    def acquire(self) -> bool:
        """Try to become the leader; False while another holds the lock."""
        if not self.lock():
            return False
        with self._store.write("lead") as session:
            row = session.get(Leader, 1, with_for_update=True)
            if row is None:
                row = Leader(id=1, epoch=0)
                session.add(row)
            row.epoch += 1
            self._epoch = row.epoch
        return True

    def lock(self) -> bool:
        """Try to get the lock alone, which keeps dispatchers away from a database that may not have tables yet."""
        self.release()  # a try that got the lock but not the database would stand in its own way
        return self._lock_file() if self._store.is_sqlite else self._lock_server()

    @contextmanager
    def transaction(self, what: str = "") -> Iterator[Session]:
        """A writing transaction that only the leader can commit.

        Args:
            what: its name among `crash_points.TRANSACTIONS`.

        Raises:
            LeadershipLost: another dispatcher has a later epoch.
        """
        with self._store.write(what) as session:
            row = session.get(Leader, 1, with_for_update={"read": True})
            if row is None or row.epoch != self._epoch:
                raise LeadershipLost
            yield session

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _lock_file(self) -> bool:
        path = Path(self._store.url.removeprefix("sqlite:///")).with_suffix(".lock")
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def _lock_server(self) -> bool:
        connection = self._store.engine.connect()
        try:
            locked = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK_NUMBER)))
            connection.commit()  # the lock belongs to the session; an idle transaction would hold back vacuum
        except BaseException:
            connection.close()
            raise
        if not locked:
            connection.close()
            return False
        self._connection = connection
        return True
