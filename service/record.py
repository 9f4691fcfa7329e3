"""Optuna's record of our studies: one trial per cell. Our tables are the truth; this can be rebuilt at any time.

The only importer of Optuna. Driven by what is not yet recorded (`Cell.recorded_n`, `Study.recorded`), in a thread of
its own, off the path that commits results.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy as sa
import structlog
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from service.dispatch.leader import Leadership
from service.errors import LeadershipLost
from service.lifecycle import TERMINAL, Status
from service.store.engine import BUSY_SECONDS, Store
from service.store.queries import cell_statistics, study_cells
from service.store.tables import Cell, Study, now
from studies.golden import effective_learning_rate

INTERVAL_SECONDS = 5.0
"""The least time between two reports of a running study's means."""
CHECK_SECONDS = 60.0
"""How often Optuna's tables are looked through for studies that somebody has deleted."""
STOP_SECONDS = 5.0

log = structlog.get_logger("goldenbench.record")


@dataclass(frozen=True)
class CellRecord:
    """What a trial says of its cell."""

    cell: int
    learning_rate: float
    momentum: float
    labels: tuple[str, ...]
    n: int
    diverged: int
    mean: float | None
    std: float | None

    @property
    def attributes(self) -> dict[str, Any]:
        """The trial's user attributes."""
        return {
            "labels": ", ".join(self.labels),
            "effective learning rate": effective_learning_rate(self.learning_rate, self.momentum),
            "diverged": self.diverged,
            "mean": self.mean,
            "std": self.std,
            "n": self.n,  # written last: it says that the others are up to date
        }


def open_storage(store: Store) -> RDBStorage:
    """Optuna's storage in the same database, with its own connections."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arguments: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if store.is_sqlite else {}
    storage = RDBStorage(store.url, engine_kwargs=arguments or {"pool_pre_ping": True})
    if store.is_sqlite:
        sa.event.listen(storage.engine, "connect", _lighter_commits)
        storage.engine.dispose()
    return storage


class Record:
    """Writes one study's trials; every method may be called again after it failed half-way."""

    def __init__(self, storage: RDBStorage) -> None:
        self._storage = storage

    def write(self, title: str, study_id: str, cells: Sequence[CellRecord], status: Status) -> None:
        """Bring a study's trials to the present state, building them anew if they are not what they should be.

        Args:
            title: the study's name in Optuna's tables.
            study_id: its id in ours.
            cells: all of them, in order.
            status: as the user sees it.
        """
        number = find_number(self._storage, title)
        trials = [] if number is None else self._storage.get_all_trials(number, deepcopy=False)
        if number is not None and not _fits(trials, cells, status):
            self._storage.delete_study(number)
            number, trials = None, []
        if number is None:
            number = self._storage.create_new_study([StudyDirection.MAXIMIZE], title)
            self._storage.set_study_user_attr(number, "goldenbench", study_id)
        for cell in cells[len(trials) :]:
            self._storage.create_new_trial(number, template_trial=_trial(cell, cells, status))
        for cell, trial in zip(cells, trials, strict=False):
            self._update(cell, trial, status)

    def delete(self, study_id: str) -> None:
        """Remove a study's trials."""
        for study in self._storage.get_all_studies():
            if study.user_attrs.get("goldenbench") == study_id:
                self._storage.delete_study(study._study_id)

    def known(self) -> set[str]:
        """The ids of our studies in Optuna's tables."""
        ids = (study.user_attrs.get("goldenbench") for study in self._storage.get_all_studies())
        return {str(study_id) for study_id in ids if study_id is not None}

    def _update(self, cell: CellRecord, trial: FrozenTrial, status: Status) -> None:
        if trial.state.is_finished():
            return
        if trial.user_attrs.get("n") != cell.n:
            if cell.mean is not None:
                self._storage.set_trial_intermediate_value(trial._trial_id, cell.n, cell.mean)
            for key, value in cell.attributes.items():
                if trial.user_attrs.get(key) != value:
                    self._storage.set_trial_user_attr(trial._trial_id, key, value)
        state = _state(cell, status)
        if state is not TrialState.RUNNING:
            values = [cell.mean] if state is TrialState.COMPLETE and cell.mean is not None else None
            self._storage.set_trial_state_values(trial._trial_id, state, values)


class Recorder:
    """Keeps Optuna's record up with the store, in a thread, while this process leads."""

    def __init__(self, store: Store, storage: RDBStorage, leadership: Leadership, leads: threading.Event) -> None:
        self._store = store
        self._record = Record(storage)
        self._leadership = leadership
        self._leads = leads
        self._written: dict[str, float] = {}
        self._known: set[str] = set()
        """Our studies in Optuna's tables."""
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
        if time.monotonic() - self._checked >= CHECK_SECONDS:
            self._mark_missing()
            self._checked = time.monotonic()
        with self._store.read() as session:
            due = list(session.scalars(_unrecorded()))
            alive = set(session.scalars(sa.select(Study.id)))
        for study_id in self._known - alive:
            self._record.delete(study_id)
            self._known.discard(study_id)
        written = 0
        for study_id in due:
            if not self._stop.is_set() and self._is_time(study_id):
                self.write(study_id)
                written += 1
        return written

    def write(self, study_id: str) -> None:
        """Record one study, then note in our tables what is recorded."""
        with self._store.read() as session:
            study = session.scalars(sa.select(Study).where(Study.id == study_id)).one_or_none()
            if study is None:
                return
            cells = study_cells(session, study_id)
            records = _records(session, study_id, cells)
        self._known.add(study_id)
        self._record.write(study.optuna_name, study_id, records, Status(study.status))
        self._written[study_id] = time.monotonic()
        with self._leadership.transaction() as session:
            session.execute(sa.update(Study).where(Study.id == study_id).values(recorded=study.status))
            for record in records:
                row = sa.update(Cell).where(Cell.study_id == study_id, Cell.cell == record.cell)
                session.execute(row.where(Cell.recorded_n != record.n).values(recorded_n=record.n))

    def _is_time(self, study_id: str) -> bool:
        with self._store.read() as session:
            status = session.scalar(sa.select(Study.status).where(Study.id == study_id))
        finished = status is not None and Status(status) in TERMINAL
        return finished or time.monotonic() - self._written.get(study_id, -math.inf) >= INTERVAL_SECONDS

    def _mark_missing(self) -> None:
        """Studies that Optuna's tables no longer hold are to be recorded again."""
        self._known = self._record.known()
        with self._leadership.transaction() as session:
            for study in session.scalars(sa.select(Study).where(Study.recorded.is_not(None))):
                if study.id not in self._known:
                    study.recorded = None

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            if not self._leads.is_set():
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
    records = []
    for cell in cells:
        mean, std = statistics.get(cell.cell, (None, None))
        point = (cell.cell, cell.learning_rate, cell.momentum, tuple(cell.labels))
        records.append(CellRecord(*point, cell.n, cell.diverged, mean, std))
    return records


def _distributions(cells: Sequence[CellRecord]) -> dict[str, Any]:
    """Two axes that span all cells, the same in every trial of a study."""
    rates = [cell.learning_rate for cell in cells]
    momenta = [cell.momentum for cell in cells]
    return {
        "learning_rate": FloatDistribution(min(rates), max(rates), log=True),
        "momentum": FloatDistribution(min(momenta), max(momenta)),
    }


def _trial(cell: CellRecord, cells: Sequence[CellRecord], status: Status) -> FrozenTrial:
    state = _state(cell, status)
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=cell.mean if state is TrialState.COMPLETE else None,
        datetime_start=now().replace(tzinfo=None),  # Optuna keeps times without a zone
        datetime_complete=now().replace(tzinfo=None) if state.is_finished() else None,
        params={"learning_rate": cell.learning_rate, "momentum": cell.momentum},
        distributions=_distributions(cells),
        user_attrs=cell.attributes,
        system_attrs={},
        intermediate_values={} if cell.mean is None else {cell.n: cell.mean},
    )


def _state(cell: CellRecord, status: Status) -> TrialState:
    if status is Status.COMPLETED and cell.mean is not None:
        return TrialState.COMPLETE
    return TrialState.FAIL if status in TERMINAL else TrialState.RUNNING


def _fits(trials: Sequence[FrozenTrial], cells: Sequence[CellRecord], status: Status) -> bool:
    """Whether existing trials can be brought up to date: same cells, and none finished that is not, or otherwise."""
    if len(trials) > len(cells):
        return False
    for cell, trial in zip(cells, trials, strict=False):
        if trial.params != {"learning_rate": cell.learning_rate, "momentum": cell.momentum}:
            return False
        if trial.state.is_finished():
            same = trial.state is _state(cell, status) and trial.user_attrs.get("n") == cell.n
            if not same or (trial.value if trial.state is TrialState.COMPLETE else None) != (
                cell.mean if trial.state is TrialState.COMPLETE else None
            ):
                return False
    return True


def _lighter_commits(connection: Any, _record: Any) -> None:
    """The record can be rebuilt, so it need not wait for the disk at each commit; WAL keeps the file consistent."""
    connection.execute("PRAGMA synchronous=NORMAL")


def find_number(storage: RDBStorage, name: str) -> int | None:
    """Optuna's number of a study by its name, or None."""
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None
