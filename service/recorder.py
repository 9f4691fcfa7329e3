"""Keeping Optuna's record up with the store.

Driven by what is not yet recorded (`Cell.recorded_n`, `Study.recorded`), in a thread of its own, off the path that
commits results.
"""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from service.dispatch.leader import Leadership
from service.errors import LeadershipLost
from service.lifecycle import TERMINAL, Status
from service.note import is_current, study_note
from service.plots.plotly import landscape
from service.record import CellRecord, Record
from service.record_lag import Lag
from service.schemas.studies import ComparisonDocument
from service.store.engine import Store
from service.store.queries import cell_accuracies, cell_statistics, study_cells
from service.store.tables import Cell, Study

INTERVAL_SECONDS = 5.0
"""The least time between two reports of a running study's means."""
SHARE = 0.1
"""The most of its time that is spent on the reports of one running study; a large one takes seconds to read."""
CHECK_SECONDS = 60.0
"""How often Optuna's tables are looked through for studies that somebody has deleted."""
VERIFIED_AT_ONCE = 5
"""Records that are compared with the store between two looks for new results; each takes some 10 ms."""
STOP_SECONDS = 5.0

log = structlog.get_logger("goldenbench.record")


class Recorder:
    """Keeps Optuna's record up with the store, in a thread, while this process leads.

    Args:
        store: the truth.
        record: Optuna's tables.
        leadership: of this process's dispatcher.
        leads: set while it leads.
        compare: gives the comparison document of a study; may take seconds.
        lag: is told how far the record is behind.
    """

    def __init__(
        self,
        store: Store,
        record: Record,
        leadership: Leadership,
        leads: threading.Event,
        compare: Callable[[str], ComparisonDocument],
        lag: Lag | None = None,
    ) -> None:
        self._store = store
        self._compare = compare
        self._record = record
        self._leadership = leadership
        self._leads = leads
        self._lag = lag or Lag()
        self._not_before: dict[str, float] = {}
        """When a running study may be reported again."""
        self._known: set[str] = set()
        """Our studies in Optuna's tables."""
        self._undescribed: set[str] = set()
        """Studies whose note could not be written."""
        self._unverified: list[str] | None = None
        """Recorded studies whose record has not been compared with the store since the start; None: all of them."""
        self._checked = -math.inf
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the study at hand."""
        self._stop.set()
        self._thread.join(timeout=STOP_SECONDS)

    def catch_up(self) -> int:
        """Record every study that has something new.

        Returns:
            How many studies were written.
        """
        self._verify_some()
        if time.monotonic() - self._checked >= CHECK_SECONDS:
            self._mark_missing()
            for study_id in tuple(self._undescribed):
                self._describe(study_id)
            self._checked = time.monotonic()
        with self._store.read() as session:
            due = list(session.scalars(_unrecorded()))
            alive = set(session.scalars(sa.select(Study.id)))
        self._lag.due(due)
        for study_id in self._known - alive:
            self._record.delete(study_id)
            self._known.discard(study_id)
        written = 0
        for study_id in due:
            if not self._stop.is_set() and self._is_time(study_id):
                self.write(study_id)
                written += 1
        return written

    def rebuild(self) -> int:
        """Remove all records and write them anew, in a process that leads.

        Returns:
            How many studies were written.
        """
        self._record.clear()
        with self._leadership.transaction("record-check") as session:
            session.execute(sa.update(Study).values(recorded=None))
        return self.catch_up()

    def write(self, study_id: str) -> None:
        """Record one study, then note in our tables what is recorded."""
        began = time.monotonic()
        with self._store.read() as session:
            study = session.scalars(sa.select(Study).where(Study.id == study_id)).one_or_none()
            if study is None:
                return
            cells = study_cells(session, study_id)
            records = _records(session, study_id, cells)
        self._known.add(study_id)
        self._record.write(study.optuna_name, study_id, records, Status(study.status))
        with self._leadership.transaction("record") as session:
            session.execute(sa.update(Study).where(Study.id == study_id).values(recorded=study.status))
            told = {cell.cell: cell.recorded_n for cell in cells}
            more = [{"at": one.cell, "shown": one.n} for one in records if one.n != told[one.cell]]
            if more:
                row = sa.update(Cell).where(Cell.study_id == study_id, Cell.cell == sa.bindparam("at"))
                session.connection().execute(row.values(recorded_n=sa.bindparam("shown")), more)
        self._lag.written(study_id)
        self._describe(study_id)
        ended = time.monotonic()
        self._not_before[study_id] = ended + max(INTERVAL_SECONDS, (ended - began) / SHARE)

    def _describe(self, study_id: str) -> None:
        """Write a study's note; a comparison that fails must not hold up the trials of other studies."""
        try:
            with self._store.read() as session:
                study = session.scalars(sa.select(Study).where(Study.id == study_id)).one_or_none()
                ended = study is not None and study.shown in TERMINAL
                records = _records(session, study_id, study_cells(session, study_id)) if ended else []
            if study is not None:
                self._describe_study(study, [dataclasses.asdict(record) for record in records])
            self._undescribed.discard(study_id)
        except Exception as error:
            log.warning("note delayed", study=study_id, error=f"{type(error).__name__}: {error}"[:300])
            self._undescribed.add(study_id)

    def _describe_study(self, study: Study, cells: Sequence[Mapping[str, Any]]) -> None:
        """Write a study's note; `cells` are given, and drawn, once it has ended."""
        comparison = self._compare(study.id) if cells else None
        note = study_note(study.id, study.shown, study.done, study.total, comparison)
        seen = any(cell["mean"] is not None for cell in cells)
        drawn = None if comparison is None or not seen else landscape(comparison, cells)
        self._record.describe(study.optuna_name, note, drawn)

    def _is_time(self, study_id: str) -> bool:
        with self._store.read() as session:
            status = session.scalar(sa.select(Study.status).where(Study.id == study_id))
        finished = status is not None and Status(status) in TERMINAL
        return finished or time.monotonic() >= self._not_before.get(study_id, -math.inf)

    def _verify_some(self) -> None:
        """Compare records with the store, a few at a time; what somebody has damaged is removed and written anew."""
        if self._unverified is None:
            self._record.tidy()
            with self._store.read() as session:
                recorded = sa.select(Study.id).where(Study.recorded.is_not(None)).order_by(Study.ordinal)
                self._unverified = list(session.scalars(recorded))
        for _ in range(min(VERIFIED_AT_ONCE, len(self._unverified))):
            study_id = self._unverified[-1]
            with self._store.read() as session:
                study = session.scalars(sa.select(Study).where(Study.id == study_id)).one_or_none()
                cells = study_cells(session, study_id)
                records = _records(session, study_id, cells)
            self._unverified.pop()
            if study is None or study.recorded != study.status or any(c.n != c.recorded_n for c in cells):
                continue  # it will be written anyway
            if not self._record.shows(study.optuna_name, study_id, records, Status(study.status)):
                log.warning("record damaged, building it anew", study=study_id)
                self._mark_unrecorded([study_id])
                self._record.drop(study.optuna_name)
            elif not is_current(self._record.note(study.optuna_name), study.shown):
                self._describe(study_id)  # the service ended between the trials and the note

    def _mark_missing(self) -> None:
        """Studies that Optuna's tables no longer hold are to be recorded again."""
        self._known = self._record.known()
        with self._store.read() as session:
            recorded = session.scalars(sa.select(Study.id).where(Study.recorded.is_not(None))).all()
        missing = set(recorded) - self._known
        if missing:
            self._record.tidy()
            self._mark_unrecorded(missing)

    def _mark_unrecorded(self, study_ids: Collection[str]) -> None:
        with self._leadership.transaction("record-check") as session:
            session.execute(sa.update(Study).where(Study.id.in_(study_ids)).values(recorded=None))

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            if not self._leads.is_set():
                self._lag.due(())
                continue
            try:
                self.catch_up()
            except LeadershipLost:
                continue
            except Exception as error:  # the record must never stop the work it describes; it is tried again
                log.warning("record delayed", error=f"{type(error).__name__}: {error}"[:300])
                self._checked = -math.inf
                self._stop.wait(5.0)


def _unrecorded() -> sa.Select[Any]:
    """Opened studies whose status or any cell has changed since it was recorded."""
    changed = sa.select(Cell.study_id).where(Cell.n != Cell.recorded_n)
    stale = sa.or_(Study.recorded.is_(None), Study.recorded != Study.status, Study.id.in_(changed))
    return sa.select(Study.id).where(Study.dataset_sha256.is_not(None), stale).order_by(Study.ordinal)


def _records(session: Session, study_id: str, cells: Sequence[Cell]) -> list[CellRecord]:
    statistics = cell_statistics(session, study_id)
    accuracies = cell_accuracies(session, study_id)
    records = []
    for cell in cells:
        mean, std = statistics.get(cell.cell, (None, None))
        point = (cell.cell, cell.learning_rate, cell.momentum, tuple(cell.labels))
        means = {} if mean is None else {**_first_means(accuracies[cell.cell]), cell.n: mean}
        records.append(CellRecord(*point, cell.n, cell.diverged, mean, std, means))
    return records


def _first_means(accuracies: Sequence[float]) -> dict[int, float]:
    """Means of the first 1, 2, 3, 5, 8, ... accuracies: enough for a curve, and few to write for a hundred."""
    means, n, following = {}, 1, 2
    while n <= len(accuracies):
        means[n] = math.fsum(accuracies[:n]) / n
        n, following = following, n + following
    return means
