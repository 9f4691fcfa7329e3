"""What the store says of the queue, in queries whose cost does not grow with the trainings."""

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.lifecycle import TERMINAL, Desired, Status, shown
from service.store.engine import Store
from service.store.tables import Pack, Study, now

LEAST_SECONDS = 1.0
"""How long an answer is kept, at least."""
SHARE = 0.02
"""The most of the time that is spent on reading, however often somebody asks and however long a reading takes."""
PACK_STATES = ("waiting", "running", "done", "split", "discarded", "quarantined")

log = structlog.get_logger("goldenbench.metrics")


@dataclass(frozen=True)
class Stored:
    """The queue at one moment."""

    studies: dict[Status, int]
    """By the status that users see."""
    pending: dict[Status, int]
    """Trainings that are wanted and not stored, of studies that have not ended."""
    packs: dict[str, int]
    """By state, of all studies."""
    oldest_queued_seconds: float
    """Age of the oldest study that waits for its first training; 0 without one."""
    oldest_running_seconds: float
    """Age of the oldest running attempt of a pack; 0 without one."""
    database_bytes: int


class Reader:
    """Reads the store now and then, and gives the last reading meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading = threading.Lock()
        self._last: Stored | None = None
        self._not_before = 0.0

    def read(self) -> Stored | None:
        """The queue; None while the database is away."""
        if self._reading.acquire(blocking=False):  # whoever asks meanwhile gets the last reading, and does not wait
            try:
                if time.monotonic() >= self._not_before:
                    self._read()
            finally:
                self._reading.release()
        return self._last

    def _read(self) -> None:
        began = time.monotonic()
        try:
            with self._store.read() as session:
                self._last = read(session, self._store)
        except SQLAlchemyError as error:
            log.warning("database away", error=str(error)[:300])
            self._last = None
        ended = time.monotonic()
        self._not_before = ended + max(LEAST_SECONDS, (ended - began) / SHARE)


def read(session: Session, store: Store) -> Stored:
    """Read the queue: the rows of studies are counted, packs by an index, trainings not at all."""
    extended = Study.done < Study.total
    waiting_since = sa.func.min(Study.created_at).filter(Study.started_at.is_(None))
    counted = (sa.func.count(), sa.func.sum(Study.total - Study.done), waiting_since)
    query = sa.select(Study.status, Study.desired, extended, *counted).where(Study.desired != Desired.DELETE)
    rows = session.execute(query.group_by(Study.status, Study.desired, extended)).all()
    states = session.execute(sa.select(Pack.state, sa.func.count()).group_by(Pack.state))
    running = sa.select(Study.id).where(Study.status == Status.RUNNING)
    begun = sa.select(sa.func.min(Pack.started_at)).where(Pack.study_id.in_(running), Pack.state == "running")
    return Stored(
        **_studies(rows),
        packs=dict.fromkeys(PACK_STATES, 0) | {row[0]: row[1] for row in states},
        oldest_running_seconds=_age(session.scalar(begun)),
        database_bytes=_bytes(session, store),
    )


def _studies(rows: Sequence[Any]) -> dict[str, Any]:
    studies, pending = Counter[Status](), Counter[Status]()
    waiting: list[datetime] = []
    for status, desired, extended, count, left, since in rows:
        seen = shown(status, desired, extended)
        studies[seen] += count
        pending[seen] += left
        if seen is Status.QUEUED and since is not None:
            waiting.append(since)
    return {
        "studies": {status: studies[status] for status in Status},
        "pending": {status: pending[status] for status in Status if status not in TERMINAL},
        "oldest_queued_seconds": _age(min(waiting, default=None)),
    }


def _age(since: datetime | None) -> float:
    """Seconds; 0 for what is not there, and where clocks disagree."""
    return 0.0 if since is None else max(0.0, (now() - since).total_seconds())


def _bytes(session: Session, store: Store) -> int:
    if not store.is_sqlite:
        return int(session.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database()))) or 0)
    path = store.url.removeprefix("sqlite:///")
    return sum(os.path.getsize(path + end) for end in ("", "-wal") if os.path.exists(path + end))
