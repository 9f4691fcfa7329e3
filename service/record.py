"""Optuna's record of our studies: one trial per cell. Our tables are the truth; this can be rebuilt at any time.

The only importer of Optuna.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy as sa
import structlog
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from service import record_rows
from service.lifecycle import TERMINAL, Status
from service.store.engine import BUSY_SECONDS, Store
from studies.golden import effective_learning_rate

METRIC_NAMES = "study:metric_names"
"""What `optuna.Study.set_metric_names` writes; the method itself is marked experimental, and warns."""
MEASURED = ["mean accuracy"]
OURS = "goldenbench"
"""The attribute of a study in Optuna's tables that holds our id of it."""

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
    means: Mapping[int, float]
    """Mean of the first so many replicates, in the order of run and fold; for some numbers of them."""

    @property
    def attributes(self) -> dict[str, Any]:
        """The trial's user attributes."""
        return {
            "labels": ", ".join(self.labels),
            "effective learning rate": effective_learning_rate(self.learning_rate, self.momentum),
            "diverged": self.diverged,
            "mean": self.mean,
            "std": self.std,
            "n": self.n,
        }


ATTRIBUTES = tuple(CellRecord(0, 1.0, 0.0, (), 0, 0, None, None, {}).attributes)
"""The names of the user attributes that a trial of ours has."""


@dataclass(frozen=True)
class _Drawing:
    """What the dashboard asks of a figure; Plotly's own has 16 MB behind it."""

    document: dict[str, Any]

    def to_json(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, allow_nan=False)


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
    """Writes studies' trials; every method may be called again after it failed half-way."""

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
        trials = [] if number is None else self._trials(number)
        ours = number is None or self._storage.get_study_user_attrs(number).get(OURS) == study_id
        if trials is None or not ours or not _fits(trials, cells, status):
            self.drop(title)
            number, trials = None, []
        axes = _distributions(cells)
        wanted = [_trial(cell, axes, status) for cell in cells]
        with self._storage.engine.begin() as connection:
            if number is None:
                number = record_rows.create(connection, title, {OURS: study_id}, {METRIC_NAMES: MEASURED})
            record_rows.add(connection, number, wanted[len(trials) :])
            stale = {
                trial._trial_id: want
                for cell, trial, want in zip(cells, trials, wanted, strict=False)
                if not trial.state.is_finished() and not _says(trial, cell, status)
            }
            record_rows.change(connection, stale, ATTRIBUTES)

    def shows(self, title: str, study_id: str, cells: Sequence[CellRecord], status: Status) -> bool:
        """Whether a study's trials are all there and say what `write` would have them say; arguments as there."""
        number = find_number(self._storage, title)
        trials = None if number is None else self._trials(number)
        if number is None or trials is None or len(trials) != len(cells) or not _fits(trials, cells, status):
            return False
        study = optuna.load_study(study_name=title, storage=self._storage)
        own = study.user_attrs.get(OURS) == study_id
        own = own and self._storage.get_study_system_attrs(number).get(METRIC_NAMES) == MEASURED
        upwards = study.directions == [StudyDirection.MAXIMIZE]
        return own and upwards and all(_says(trial, cell, status) for trial, cell in zip(trials, cells, strict=True))

    def note(self, title: str) -> str:
        """The note of a study that is recorded; empty if it has none."""
        from optuna_dashboard import get_note  # a second: scikit-learn comes with it, and nobody waits for a note

        return str(get_note(optuna.load_study(study_name=title, storage=self._storage)))

    def _trials(self, number: int) -> list[FrozenTrial] | None:
        """A study's trials; None if somebody has damaged them so that Optuna cannot read them."""
        try:
            return self._storage.get_all_trials(number, deepcopy=False)
        except (SQLAlchemyError, StorageInternalError):  # the database is away
            raise
        except Exception as error:  # a missing row shows as whatever its absence leads to
            log.warning("record unreadable", study=number, error=f"{type(error).__name__}: {error}"[:300])
            return None

    def drop(self, title: str) -> None:
        """Remove a study's trials by its name, so that they are built anew."""
        number = find_number(self._storage, title)
        if number is not None:
            self._storage.delete_study(number)
        self.tidy()

    def tidy(self) -> None:
        """Remove rows whose parents somebody has deleted by hand.

        Optuna has SQLite check no references, and a table that was dropped takes PostgreSQL's along; ids are given out
        again, so that a new study would inherit the trials.
        """
        with self._storage.engine.begin() as connection:
            for table in reversed(models.BaseModel.metadata.sorted_tables):
                for reference in table.foreign_keys:
                    connection.execute(sa.delete(table).where(reference.parent.not_in(_whole(reference.column))))

    def clear(self) -> None:
        """Remove the trials of all our studies."""
        for study_id in self.known():
            self.delete(study_id)
        self.tidy()

    def describe(self, title: str, note: str, landscape: dict[str, Any] | None) -> None:
        """Write the note that the dashboard shows beside a study, and the landscape that it draws.

        Args:
            title: the study's name in Optuna's tables.
            note: Markdown.
            landscape: a document of Plotly; None where there is nothing to draw.
        """
        from optuna_dashboard import get_note, save_note, save_plotly_graph_object

        study = optuna.load_study(study_name=title, storage=self._storage)
        if get_note(study) != note:
            save_note(study, note)
        if landscape is not None:
            save_plotly_graph_object(study, _Drawing(landscape), graph_object_id="landscape")

    def delete(self, study_id: str) -> None:
        """Remove a study's trials."""
        for study in self._storage.get_all_studies():
            if study.user_attrs.get(OURS) == study_id:
                self._storage.delete_study(study._study_id)

    def known(self) -> set[str]:
        """The ids of our studies in Optuna's tables."""
        ids = (study.user_attrs.get(OURS) for study in self._storage.get_all_studies())
        return {str(study_id) for study_id in ids if study_id is not None}


def _whole(key: sa.Column[Any]) -> sa.Select[Any]:
    """The keys of a table's rows that have all their parents, and those theirs."""
    query = sa.select(key)
    for reference in key.table.foreign_keys:
        query = query.where(reference.parent.in_(_whole(reference.column)))
    return query


def _distributions(cells: Sequence[CellRecord]) -> dict[str, BaseDistribution]:
    """Two axes that span all cells, the same in every trial of a study."""
    rates = [cell.learning_rate for cell in cells]
    momenta = [cell.momentum for cell in cells]
    return {
        "learning_rate": FloatDistribution(min(rates), max(rates), log=True),
        "momentum": FloatDistribution(min(momenta), max(momenta)),
    }


def _trial(cell: CellRecord, axes: dict[str, BaseDistribution], status: Status) -> FrozenTrial:
    """What a trial shall say; its times are those of its writing."""
    state = _state(cell, status)
    return FrozenTrial(
        number=cell.cell,
        trial_id=-1,
        state=state,
        value=cell.mean if state is TrialState.COMPLETE else None,
        datetime_start=None,
        datetime_complete=None,
        params={"learning_rate": cell.learning_rate, "momentum": cell.momentum},
        distributions=axes,
        user_attrs=cell.attributes,
        system_attrs={},
        intermediate_values=dict(cell.means),
    )


def _says(trial: FrozenTrial, cell: CellRecord, status: Status) -> bool:
    """Whether a trial says everything that its cell's record has."""
    reported = all(trial.intermediate_values.get(n) == mean for n, mean in cell.means.items())
    attributes = {name: trial.user_attrs.get(name) for name in cell.attributes}
    return reported and attributes == cell.attributes and trial.state is _state(cell, status)


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
