"""Optuna's tables damaged by hand in every way: the next start, or a command, builds the record anew."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from service_data import complete, leader, lease, opened, settle, size, submit, take_in, wish

from service.dispatch.leader import Leadership
from service.record import Record, open_storage
from service.recorder import Recorder
from service.reports import Reports
from service.store.engine import Store

TABLES = [
    "studies",
    "study_directions",
    "study_user_attributes",
    "study_system_attributes",
    "trials",
    "trial_params",
    "trial_values",
    "trial_user_attributes",
    "trial_intermediate_values",
    "version_info",
    "alembic_version",
]
"""Those of Optuna's that hold something of ours."""
CASES = [("sqlite", table) for table in TABLES]
CASES += [("postgresql", table) for table in ("studies", "trials", "trial_values", "alembic_version")]


def start(store: Store, leadership: Leadership) -> list[Any]:
    """What a service does at its start until nothing is left to record; the record then."""
    storage = open_storage(store)
    recorder = Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now)
    for _ in range(4):
        recorder.catch_up()
    found = content(storage)
    storage.engine.dispose()
    return found


def content(storage: RDBStorage) -> list[Any]:
    """Everything that the record says, without ids and times."""
    said = []
    for study in sorted(storage.get_all_studies(), key=lambda study: study.study_name):
        trials = storage.get_all_trials(study._study_id)
        rows = [(t.number, t.state.name, t.params, t.values, t.user_attrs, t.intermediate_values) for t in trials]
        names = sorted(study.system_attrs)
        directions = [direction.name for direction in storage.get_study_directions(study._study_id)]
        said.append((study.study_name, study.user_attrs, directions, rows, names))
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


@pytest.fixture
def leadership_of() -> Iterator[Callable[[Store], Leadership]]:
    """Leads on a store until the test ends."""
    held: list[Leadership] = []

    def lead(store: Store) -> Leadership:
        held.append(leader(store))
        return held[-1]

    yield lead
    for one in held:
        one.release()


@pytest.fixture
def recorded(store: Store, leadership: Leadership) -> list[Any]:
    """What is recorded of studies in several states."""
    complete(leadership, opened(store, leadership, name="completed"))
    running = opened(store, leadership, name="running")
    take_in(leadership, lease(leadership, running, size(4)))
    cancelled = opened(store, leadership, name="cancelled")
    wish(store, cancelled, "cancel")
    settle(leadership, cancelled)
    submit(store, name="not opened")
    said = start(store, leadership)
    assert [one[0].partition(" [")[0] for one in said] == ["cancelled", "completed", "running"]
    return said


def execute(store: Store, *statements: str) -> None:
    """What somebody does by hand; SQLite's shell checks no references."""
    with store.engine.connect() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
    store.engine.dispose()


@pytest.mark.parametrize(("store", "table"), CASES, indirect=["store"])
def test_rows_deleted_by_hand_are_there_after_the_next_start(
    store: Store, leadership: Leadership, recorded: list[Any], table: str
) -> None:
    suffix = "" if store.is_sqlite or table.startswith(("version", "alembic")) else " CASCADE"
    execute(store, f"DELETE FROM {table}" if store.is_sqlite else f"TRUNCATE {table}{suffix}")
    assert start(store, leadership) == recorded


@pytest.mark.parametrize(("store", "table"), CASES, indirect=["store"])
def test_table_dropped_by_hand_is_there_after_the_next_start(
    store: Store, leadership: Leadership, recorded: list[Any], table: str
) -> None:
    execute(store, f"DROP TABLE {table}" if store.is_sqlite else f"DROP TABLE {table} CASCADE")
    assert start(store, leadership) == recorded


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM trials WHERE number = 2",
        "DELETE FROM studies WHERE study_id = (SELECT max(study_id) FROM studies)",
        "UPDATE trial_values SET value = 0.5",
        "UPDATE trial_params SET param_value = param_value * 2 WHERE param_name = 'momentum'",
        "UPDATE trials SET state = 'FAIL'",
        "UPDATE trial_intermediate_values SET intermediate_value = 0.5",
        "UPDATE trial_user_attributes SET value_json = '0'",
        "UPDATE study_user_attributes SET value_json = '\"nonsense\"'",
        "UPDATE study_directions SET direction = 'MINIMIZE'",
        "UPDATE trial_params SET distribution_json = 'nonsense'",
        "DELETE FROM trial_params WHERE param_name = 'learning_rate'",
    ],
)
def test_rows_changed_by_hand_are_right_after_the_next_start(
    sqlite_store: Store, leadership_of: Callable[[Store], Leadership], damage: str
) -> None:
    leadership = leadership_of(sqlite_store)
    complete(leadership, opened(sqlite_store, leadership, name="one"))
    complete(leadership, opened(sqlite_store, leadership, name="two"))
    recorded = start(sqlite_store, leadership)
    execute(sqlite_store, damage)
    assert start(sqlite_store, leadership) == recorded
    assert len(recorded) == 2


def test_whole_record_is_not_written_again(store: Store, leadership: Leadership, recorded: list[Any]) -> None:
    storage = open_storage(store)
    before = {study.study_name: study._study_id for study in storage.get_all_studies()}
    assert start(store, leadership) == recorded
    assert {study.study_name: study._study_id for study in storage.get_all_studies()} == before
    storage.engine.dispose()


def test_studies_that_are_not_ours_stay(store: Store, leadership: Leadership, recorded: list[Any]) -> None:
    storage = open_storage(store)
    theirs = storage.create_new_study([], "theirs")
    Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now).rebuild()
    assert storage.get_study_name_from_id(theirs) == "theirs"
    storage.delete_study(theirs)
    assert content(storage) == recorded
    storage.engine.dispose()


def command(store: Store) -> str:
    """What `goldenbench record --rebuild` says."""
    program = [str(Path(sys.executable).parent / "goldenbench"), "record", "--rebuild", "--database-url", store.url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def test_command_rebuilds_the_record_while_no_service_runs(sqlite_store: Store) -> None:
    leadership = leader(sqlite_store)
    complete(leadership, opened(sqlite_store, leadership))
    recorded = start(sqlite_store, leadership)
    leadership.release()
    execute(sqlite_store, "UPDATE trial_values SET value = 0.5")
    assert "1 study" in command(sqlite_store)
    storage = open_storage(sqlite_store)
    assert content(storage) == recorded
    storage.engine.dispose()


def test_command_leaves_the_rebuilding_to_a_service_that_runs(
    sqlite_store: Store, leadership_of: Callable[[Store], Leadership], monkeypatch: pytest.MonkeyPatch
) -> None:
    leadership = leadership_of(sqlite_store)
    complete(leadership, opened(sqlite_store, leadership))
    storage = open_storage(sqlite_store)
    running = Recorder(sqlite_store, Record(storage), leadership, Event(), Reports(sqlite_store).comparison_now)
    running.catch_up()
    recorded = content(storage)
    assert "the service that runs" in command(sqlite_store)
    assert content(storage) == []
    monkeypatch.setattr("service.recorder.CHECK_SECONDS", 0.0)
    running.catch_up()
    assert content(storage) == recorded
    storage.engine.dispose()


def test_a_study_deleted_by_hand_while_the_service_runs_does_not_leave_its_trials_to_the_next(
    sqlite_store: Store, leadership_of: Callable[[Store], Leadership], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives the id of the last row out again, and Optuna has it check no references."""
    monkeypatch.setattr("service.recorder.CHECK_SECONDS", 0.0)
    leadership = leadership_of(sqlite_store)
    complete(leadership, opened(sqlite_store, leadership))
    storage = open_storage(sqlite_store)
    running = Recorder(sqlite_store, Record(storage), leadership, Event(), Reports(sqlite_store).comparison_now)
    running.catch_up()
    recorded = content(storage)
    execute(sqlite_store, "DELETE FROM studies")
    running.catch_up()
    assert content(storage) == recorded
    with storage.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM trials")) == 5
    storage.engine.dispose()
