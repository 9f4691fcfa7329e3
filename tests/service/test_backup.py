"""Backups of both databases: taken beside a dispatcher, restored elsewhere."""

import json
import secrets
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from backup_data import DATASET, begun, prepared, settings
from service_data import NUMERIC_CLASS, complete, leader, row, size, submit, take_in

from service.backup import archive, postgresql, sqlite
from service.backup.make import make
from service.backup.manifest import Manifest
from service.backup.restore import restore
from service.config import Settings
from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.errors import SetupError
from service.reports import comparison_document, comparison_request
from service.store.engine import RESTORING, VERSION_TABLE, Store
from service.store.queries import replicate_page
from service.store.tables import Base, Study
from studies.datasets.load import load


def comparison(store: Store, study_id: str) -> str:
    """The answer, as text: equal text is equality to the bit."""
    with store.read() as session:
        return json.dumps(comparison_document(comparison_request(session, study_id)))


def table(store: Store, study_id: str) -> list[dict[str, Any]]:
    """Every column of every training."""
    with store.read() as session:
        rows = replicate_page(session, study_id, None, None)
        return [{name: value for name, value in vars(one).items() if not name.startswith("_")} for one in rows]


@pytest.fixture
def _client_programs(store: Store) -> None:
    """PostgreSQL's own, which a server may come without."""
    if not store.is_sqlite:
        try:
            with store.engine.connect() as connection:
                postgresql.tool("pg_dump", postgresql.server_version(connection))
        except SetupError as error:
            pytest.skip(str(error))


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, store: Store, tmp_path: Path, _client_programs: None
) -> Iterator[Settings]:
    """An empty database of the same kind, and a data folder of its own."""
    data = tmp_path / "elsewhere"
    if store.is_sqlite:
        yield Settings(data=data)
        return
    server, name = request.getfixturevalue("postgresql"), f"elsewhere_{secrets.token_hex(4)}"
    server.execute(f"CREATE DATABASE {name}")
    yield Settings(data=data, database_url=server.url(name))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ended(store: Store, leadership: Leadership, tmp_path: Path) -> str:
    """A completed study."""
    study_id = begun(store, leadership, tmp_path)
    complete(leadership, study_id)
    return study_id


@pytest.fixture
def backup(store: Store, ended: str, tmp_path: Path, _client_programs: None) -> Path:
    """A backup of a store with one completed study."""
    make(settings(store, tmp_path), tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def test_restored_study_has_the_same_answer_to_the_bit(
    store: Store, ended: str, backup: Path, elsewhere: Settings
) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restore(elsewhere, backup, force=False)
    there = Store(elsewhere.store_url)
    assert comparison(there, ended) == comparison(store, ended)
    assert table(there, ended) == table(store, ended)
    assert there.revision() == store.revision()
    sha256 = row(there, ended).dataset_sha256
    assert load(elsewhere.data / "datasets" / f"tiny-5-{DATASET.sha256[:16]}.npz", sha256).sha256 == sha256
    there.migrate()
    submit(there)  # the counters of the keys came along
    there.close()


def test_backup_beside_a_dispatcher_is_of_one_moment_and_can_be_completed(
    store: Store, leadership: Leadership, tmp_path: Path, elsewhere: Settings
) -> None:
    study_id = begun(store, leadership, tmp_path, runs=40)
    stop, accepted = threading.Event(), threading.Semaphore(0)

    def train() -> None:
        while not stop.is_set():
            with leadership.transaction() as session:
                found = accept.lease(session, study_id, size(2), "cpu-0", NUMERIC_CLASS)
            if found is None:
                return
            take_in(leadership, found)
            accepted.release()

    trainer = threading.Thread(target=train)
    trainer.start()
    for _ in range(3):
        accepted.acquire(timeout=30)
    manifest = make(settings(store, tmp_path), tmp_path / "backup.tar")
    accepted.acquire(timeout=30)  # it goes on meanwhile
    stop.set()
    trainer.join()
    assert 6 <= manifest.contents.trainings < row(store, study_id).done
    restore(elsewhere, tmp_path / "backup.tar", force=False)
    there = Store(elsewhere.store_url)
    assert row(there, study_id).done == len(table(there, study_id)) == manifest.contents.trainings
    held = leader(there)
    with held.transaction() as session:
        accept.recover(session)
    for leads, one in ((held, there), (leadership, store)):
        complete(leads, study_id)
        assert row(one, study_id).status == "completed"
    assert comparison(there, study_id) == comparison(store, study_id)
    held.release()
    there.close()


def test_database_that_is_not_empty_is_replaced_only_by_force(
    store: Store, ended: str, backup: Path, elsewhere: Settings
) -> None:
    restore(elsewhere, backup, force=False)
    there = Store(elsewhere.store_url)
    other = submit(there, name="newer")
    there.close()
    with pytest.raises(SetupError, match="not empty; --force"):
        restore(elsewhere, backup, force=False)
    assert row(there, other).name == "newer"
    there.close()
    restore(elsewhere, backup, force=True)
    with there.read() as session:
        assert list(session.scalars(sa.select(Study.id))) == [ended]
    there.close()


def test_restore_is_refused_while_a_service_runs(backup: Path, elsewhere: Settings) -> None:
    restore(elsewhere, backup, force=False)
    there = Store(elsewhere.store_url)
    running = leader(there)
    with pytest.raises(SetupError, match="a service runs on this database"):
        restore(elsewhere, backup, force=True)
    running.release()
    there.close()


def test_data_set_that_is_missing_or_damaged_is_told(sqlite_store: Store, tmp_path: Path) -> None:
    held = leader(sqlite_store)
    begun(sqlite_store, held, tmp_path)
    held.release()
    file = prepared(tmp_path)
    assert make(settings(sqlite_store, tmp_path), tmp_path / "whole.tar").absent == ()
    file.path.write_bytes(file.path.read_bytes()[:-100])
    assert make(settings(sqlite_store, tmp_path), tmp_path / "damaged.tar").absent == (file.sha256,)
    restore(Settings(data=tmp_path / "target"), tmp_path / "damaged.tar", force=False)


def test_restore_that_fails_half_way_leaves_the_old_or_is_refused(
    store: Store, ended: str, backup: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(elsewhere, backup, force=False)
    there = Store(elsewhere.store_url)
    other = submit(there, name="newer")
    there.close()

    def killed(*_arguments: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # at the step that changes the database for good
        patch.setattr(*((sqlite.os, "replace") if store.is_sqlite else (postgresql, "_run")), killed)
        with pytest.raises(KeyboardInterrupt):
            sqlite_or_server(elsewhere, backup)
    if store.is_sqlite:
        there.migrate()
        assert row(there, other).name == "newer"
    else:
        with pytest.raises(SetupError, match="a restore of this database was cut short: run `goldenbench restore`"):
            there.migrate()
        with pytest.raises(SetupError, match="--force"):
            restore(elsewhere, backup, force=False)
    there.close()
    restore(elsewhere, backup, force=True)
    there.migrate()
    assert comparison(there, ended) == comparison(store, ended)
    assert RESTORING not in sa.inspect(there.engine).get_table_names()
    there.close()


def sqlite_or_server(target: Settings, backup: Path) -> Manifest:
    """A restore by force, its data sets in place beforehand (they, too, are put there by `os.replace`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.backup.datasets.place", lambda *_: None)
        return restore(target, backup, force=True)


def test_password_is_passed_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store, seen = Store("postgresql+psycopg://me:s3cret@db.example:6543/bench?sslmode=require"), []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append((command, options["env"]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", run)
    postgresql._run(["pg_dump", "--format=custom"], store)
    command, environment = seen[0]
    assert "s3cret" not in " ".join(command)
    wanted = {"PGPASSWORD": "s3cret", "PGHOST": "db.example", "PGPORT": "6543", "PGUSER": "me", "PGSSLMODE": "require"}
    assert wanted.items() <= environment.items()
    assert environment["PGDATABASE"] == "bench"


def test_tool_that_is_missing_or_too_old_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgresql, "DEBIAN", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SetupError, match="pg_dump is not installed"):
        postgresql.tool("pg_dump", 15)
    old = tmp_path / "14" / "bin" / "pg_dump"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9 (Debian 14.9-1)'\n")
    old.chmod(0o755)
    with pytest.raises(SetupError, match=r"pg_dump is of PostgreSQL 14, and the server is 15"):
        postgresql.tool("pg_dump", 15)
    assert postgresql.tool("pg_dump", 14) == str(old)


def test_every_table_of_ours_is_in_a_dump() -> None:
    """`pg_dump` is given a pattern, so a table that it does not fit would be lost in silence."""
    assert all(name.startswith("gb_") for name in Base.metadata.tables)
    assert VERSION_TABLE == "goldenbench_version"
    assert archive.MANIFEST == "manifest.json"
