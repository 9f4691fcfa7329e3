"""The store on both databases: schema, times, references, the write lock."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from service_data import lease as lease_pack
from service_data import opened, row, rows, submit, take_in
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from service.dispatch.leader import Leadership
from service.errors import SetupError
from service.record import open_storage
from service.store.engine import VERSION_TABLE, Store
from service.store.tables import Base, Cell, IdempotencyKey, Pack, Replicate, Study


def names(store: Store) -> set[str]:
    return set(sa.inspect(store.engine).get_table_names())


def differences(store: Store) -> list[object]:
    """What Alembic would change in our tables."""

    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or str(name).startswith("gb_")

    with store.engine.connect() as connection:
        options = {"include_object": ours, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


@pytest.mark.parametrize("optuna_first", [False, True])
def test_migrated_schema_equals_the_tables_also_beside_optunas(database: str, optuna_first: bool) -> None:
    store = Store(database)
    if optuna_first:
        open_storage(store).engine.dispose()
    store.migrate()
    if not optuna_first:
        open_storage(store).engine.dispose()
    assert differences(store) == []
    assert {"studies", "trials", "alembic_version", VERSION_TABLE, *Base.metadata.tables} <= names(store)
    store.close()


def test_a_study_of_the_first_schema_lives_on(database: str) -> None:
    store = Store(database)
    command.upgrade(store._alembic(), "0001")
    values = "1, 'a1', 'old', 'f', '{}', 0, 3, 30, 'run', 'completed', 30, 7, '2026-01-02 03:04:05+00:00'"
    columns = "ordinal, id, name, fingerprint, spec, priority, runs, total, desired, status, done, revision, created_at"
    with store.write() as session:
        session.execute(sa.text(f"INSERT INTO gb_studies ({columns}) VALUES ({values})"))
        session.execute(sa.text("INSERT INTO gb_cells VALUES ('a1', 0, 0.1, 0.9, '[\"golden\"]', true, 30, 1, 0, 30)"))
    store.migrate()
    assert differences(store) == []
    study = row(store, "a1")
    assert (study.name, study.shown, study.looks, study.race_runs) == ("old", "completed", 1, None)
    assert [(cell.n, cell.dropped_after) for cell in rows(store, Cell, "a1")] == [(30, None)]
    store.close()


def test_migrate_changes_nothing_when_it_is_done_twice(database: str) -> None:
    store = Store(database)
    store.migrate()
    study_id = submit(store)
    before = names(store)
    store.migrate()
    assert names(store) == before
    assert row(store, study_id).name == "small"
    store.close()


def test_migrate_succeeds_when_several_processes_start_at_once(database: str) -> None:
    program = "import sys\nfrom service.store.engine import Store\nprint('ready', flush=True)\ninput()\n"
    command = [sys.executable, "-c", program + "Store(sys.argv[1]).migrate()\n", database]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    with ThreadPoolExecutor(3) as threads:
        errors = [error for _, error in threads.map(lambda process: process.communicate(b"\n", 60), started)]
    assert [process.returncode for process in started] == [0] * 3, b"".join(errors).decode()
    store = Store(database)
    assert differences(store) == []
    store.close()


def test_migrations_are_one_transaction_that_nobody_comes_between(database: str) -> None:
    store = Store(database)
    commits: list[sa.Connection] = []
    sa.event.listen(store.engine, "commit", commits.append)
    store.migrate()
    assert len(commits) == 1
    assert differences(store) == []
    store.close()


def test_optuna_keeps_its_version_apart_from_ours(store: Store) -> None:
    with store.read() as session:
        ours = session.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))
        optunas = session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    assert ours == ScriptDirectory.from_config(store._alembic()).get_current_head()
    assert optunas != ours


def test_moments_come_back_in_utc_whatever_their_zone(store: Store) -> None:
    study_id = submit(store)
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(started_at=moment))
    found = row(store, study_id).started_at
    assert found == moment
    assert found is not None
    assert found.utcoffset() == timedelta(0)
    assert found.isoformat() == "2026-03-01T06:30:00.123456+00:00"
    age = datetime.now(UTC) - row(store, study_id).created_at
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_moment_without_a_zone_is_refused(sqlite_store: Store) -> None:
    study_id = submit(sqlite_store)
    with pytest.raises(StatementError, match="a time needs its zone"), sqlite_store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(started_at=datetime(2026, 3, 1)))


def test_numbers_come_back_to_the_bit(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership, prescribed={"learning_rate": 0.1 + 0.2, "momentum": 1 / 3})
    cell = rows(store, Cell, study_id)[0]
    assert (cell.learning_rate, cell.momentum) == (0.1 + 0.2, 1 / 3)


def test_row_without_its_study_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(Pack(id="p", study_id="nobody", state="waiting", members=[]))
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(Cell(study_id="nobody", cell=0, learning_rate=1.0, momentum=0.0, labels=[], in_grid=True))


def test_row_that_breaks_a_rule_is_refused(store: Store) -> None:
    study_id = submit(store)
    for values in ({"done": -1}, {"done": 11}):
        with pytest.raises(IntegrityError), store.write() as session:
            session.execute(sa.update(Study).where(Study.id == study_id).values(**values))


def test_everything_of_a_study_goes_when_it_is_deleted(store: Store, leadership: Leadership) -> None:
    study_id, other = opened(store, leadership), opened(store, leadership)
    for one in (study_id, other):
        take_in(leadership, lease_pack(leadership, one))
    with store.write() as session:
        session.execute(sa.delete(Study).where(Study.id == study_id))
    assert [len(rows(store, table, study_id)) for table in (Cell, Pack, Replicate)] == [0, 0, 0]
    assert [len(rows(store, table, other)) for table in (Cell, Pack, Replicate)] == [5, 1, 5]


def test_write_stores_nothing_when_its_body_raises(store: Store) -> None:
    def fail(session: Session) -> None:
        session.add(IdempotencyKey(key="k", request_sha256="0" * 64, study_id="s"))
        session.flush()
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"), store.write() as session:
        fail(session)
    with store.read() as session:
        assert session.get(IdempotencyKey, "k") is None


def test_second_writer_waits_for_the_first_and_sees_its_work(store: Store) -> None:
    study_id = submit(store)
    entered, order = threading.Event(), []

    def count(name: str, hold_seconds: float) -> None:
        with store.write() as session:
            study = session.scalars(sa.select(Study).where(Study.id == study_id).with_for_update()).one()
            entered.set()
            time.sleep(hold_seconds)
            study.done += 1
            order.append(name)

    first = threading.Thread(target=count, args=("first", 0.3))
    first.start()
    assert entered.wait(5)
    count("second", 0)
    first.join()
    assert order == ["first", "second"]
    assert row(store, study_id).done == 2


def test_no_update_is_lost_when_many_write_at_once(store: Store) -> None:
    study_id = submit(store, runs=10)

    def add_one(_: int) -> None:
        with store.write() as session:
            session.scalars(sa.select(Study).where(Study.id == study_id).with_for_update()).one().done += 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_one, range(40)))
    assert row(store, study_id).done == 40


def test_reader_is_not_held_up_when_somebody_writes(store: Store) -> None:
    study_id = submit(store)
    with store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(done=1))
        assert row(store, study_id).done == 0
    assert row(store, study_id).done == 1


def test_address_of_another_database_is_refused_without_its_password() -> None:
    with pytest.raises(SetupError, match=r"must be SQLite or PostgreSQL, not mysql://host/db") as caught:
        Store("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)
