"""Trials that are written as rows, against the same trials written through Optuna's own interface."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from service.lifecycle import Status
from service.record import ATTRIBUTES, CellRecord, Record, _distributions, _trial, open_storage
from service.store.engine import Store

CELLS = (
    CellRecord(0, 0.016, 0.874, ("golden", "it's"), 3, 1, 0.75, 0.125, {1: 0.5, 2: 0.625, 3: 0.75}),
    CellRecord(1, 0.1, 0.0, (), 0, 0, None, None, {}),
    CellRecord(2, 1.0, 0.9, ("pytorch",), 1, 0, 1 / 3, None, {1: 1 / 3}),
)
MORE = (
    replace(CELLS[0], n=5, mean=0.7, means={**CELLS[0].means, 5: 0.7}),
    replace(CELLS[1], n=1, diverged=1, mean=0.1, means={1: 0.1}),
    CELLS[2],
)
SECOND = timedelta(seconds=1)


@pytest.fixture
def storage(store: Store) -> Iterator[RDBStorage]:
    found = open_storage(store)
    yield found
    found.engine.dispose()


def through_the_interface(storage: RDBStorage, cells: tuple[CellRecord, ...], status: Status) -> list[FrozenTrial]:
    """The trials that Optuna itself makes of the same templates."""
    number = storage.create_new_study([StudyDirection.MAXIMIZE])
    for cell in cells:
        template = _trial(cell, _distributions(cells), status)
        template.datetime_start = datetime.now()
        template.datetime_complete = datetime.now() if template.state.is_finished() else None
        storage.create_new_trial(number, template_trial=template)
    return storage.get_all_trials(number)


def said(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    """All that trials say, but for their times and keys."""
    names = ("number", "state", "values", "params", "distributions", "user_attrs", "system_attrs")
    return [{name: getattr(trial, name) for name in (*names, "intermediate_values")} for trial in trials]


def written(storage: RDBStorage, *steps: tuple[tuple[CellRecord, ...], Status]) -> list[FrozenTrial]:
    for cells, status in steps:
        Record(storage).write("rows", "study", cells, status)
    number = storage.get_study_id_from_name("rows")
    return storage.get_all_trials(number)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED, Status.CANCELLED])
def test_new_trials_are_those_that_the_interface_makes(storage: RDBStorage, status: Status) -> None:
    assert said(written(storage, (CELLS, status))) == said(through_the_interface(storage, CELLS, status))


@pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED, Status.CANCELLED])
def test_changed_trials_are_those_that_the_interface_makes_anew(storage: RDBStorage, status: Status) -> None:
    found = written(storage, (CELLS, Status.RUNNING), (MORE, status))
    assert said(found) == said(through_the_interface(storage, MORE, status))
    assert said(found) != said(through_the_interface(storage, CELLS, status))


def test_trials_that_a_write_left_out_are_added_in_order(storage: RDBStorage) -> None:
    Record(storage).write("rows", "study", CELLS, Status.RUNNING)
    with storage.engine.begin() as connection:
        for table in ("trial_params", "trial_user_attributes", "trial_intermediate_values", "trial_values", "trials"):
            last = "trial_id = (SELECT max(trial_id) FROM trials)"
            connection.execute(sa.text(f"DELETE FROM {table} WHERE {last}"))
    assert said(written(storage, (CELLS, Status.RUNNING))) == said(
        through_the_interface(storage, CELLS, Status.RUNNING)
    )


def test_attributes_of_others_stay(storage: RDBStorage) -> None:
    first = written(storage, (CELLS, Status.RUNNING))[0]
    storage.set_trial_user_attr(first._trial_id, "mine", "kept")
    changed = written(storage, (MORE, Status.RUNNING))[0]
    assert changed.user_attrs == {**MORE[0].attributes, "mine": "kept"}
    assert set(ATTRIBUTES) == set(MORE[0].attributes)


def test_nothing_is_written_when_nothing_changed(storage: RDBStorage) -> None:
    before = written(storage, (CELLS, Status.RUNNING))
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement.split(maxsplit=1)[0])

    sa.event.listen(storage.engine, "before_cursor_execute", note)
    after = written(storage, (CELLS, Status.RUNNING))
    sa.event.remove(storage.engine, "before_cursor_execute", note)
    assert after == before
    assert not {"INSERT", "UPDATE", "DELETE"} & set(statements)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_times_are_those_of_now_wherever_the_service_runs(
    storage: RDBStorage, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        trial = optuna.load_study(study_name=_completed(storage), storage=storage).trials[0]
        assert trial.state is TrialState.COMPLETE
        for told in (trial.datetime_start, trial.datetime_complete):
            assert told is not None
            assert abs(told.astimezone(UTC) - datetime.now(UTC)) < 60 * SECOND
    finally:
        monkeypatch.undo()
        time.tzset()


def _completed(storage: RDBStorage) -> str:
    written(storage, (CELLS, Status.COMPLETED))
    return "rows"
