"""Files of backups: damaged ones and targets in use are refused, with what is wrong."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from backup_data import begun, settings
from service_data import complete, leader, submit
from typer.testing import CliRunner

from service.backup.make import make
from service.backup.restore import restore
from service.cli.main import app
from service.config import Settings
from service.errors import SetupError
from service.store.engine import Store
from service.store.tables import Study


def rewritten(backup: Path, target: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """A backup whose members were changed by somebody who takes care that it is a good tar file."""
    with tarfile.open(backup) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    change(members)
    with tarfile.open(target, "w") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return target


def flipped(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """One bit in the middle of a file."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        for index, (member, content) in enumerate(members):
            if member.name.startswith(name):
                middle = len(content) // 2
                changed = bytes([content[middle] ^ 1])
                members[index] = member, content[:middle] + changed + content[middle + 1 :]

    return change


def named(place: int, name: str, kind: bytes = tarfile.REGTYPE, sealed: bool = False) -> Any:
    """A member under another name, and of another kind; if sealed, the manifest agrees."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        member = members[place][0]
        if sealed:
            text = members[0][1].replace(member.name.encode(), name.encode())
            members[0] = members[0][0], text
            members[1] = members[1][0], hashlib.sha256(text).hexdigest().encode()
        member.name, member.type, member.linkname = name, kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""

    return change


def added(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("more"), b"more"))


def dropped(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    del members[3:]


DAMAGE = {
    "database": (flipped("database"), "database does not have the checksum"),
    "data set": (flipped("datasets/tiny-5-"), r"datasets/tiny-5-\w+\.npz does not have the checksum"),
    "index": (flipped("datasets/tiny-5.json"), r"datasets/tiny-5\.json does not have the checksum"),
    "manifest": (flipped("manifest.json"), r"manifest\.json does not have the checksum in manifest\.sha256"),
    "seal": (flipped("manifest.sha256"), r"manifest\.json does not have the checksum in manifest\.sha256"),
    "cut": (dropped, "it ends before datasets/"),
    "more": (added, "holds 'more', which its manifest does not name"),
    "outside": (named(3, "../../etc/cron.d/x"), "stands where datasets/"),
    "outside, sealed": (named(3, "datasets/../../x.npz", sealed=True), "names a file 'datasets/../../x.npz'"),
    "absolute, sealed": (named(3, "/etc/cron.d/x.npz", sealed=True), "names a file '/etc/cron.d/x.npz'"),
    "link": (named(2, "database", tarfile.SYMTYPE), "'database' is not a plain file"),
    "hard link": (named(2, "database", tarfile.LNKTYPE), "'database' is not a plain file"),
    "device": (named(2, "database", tarfile.CHRTYPE), "'database' is not a plain file"),
}


@pytest.fixture(scope="module")
def small_backup(sqlite_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a store with one study."""
    data = tmp_path_factory.mktemp("source")
    shutil.copyfile(sqlite_origin, data / "goldenbench.db")
    store = Store(f"sqlite:///{data / 'goldenbench.db'}")
    held = leader(store)
    complete(held, begun(store, held, data))
    held.release()
    make(Settings(data=data), data / "backup.tar")
    store.close()
    return data / "backup.tar"


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_backup_is_refused_with_what_is_wrong(what: str, small_backup: Path, tmp_path: Path) -> None:
    change, told = DAMAGE[what]
    damaged = rewritten(small_backup, tmp_path / "damaged.tar", change)
    with pytest.raises(SetupError, match=told):
        restore(Settings(data=tmp_path / "target"), damaged, force=True)
    assert [path.name for path in (tmp_path / "target").rglob("*")] == []


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_backup_that_was_cut_short_is_refused(kept: float, small_backup: Path, tmp_path: Path) -> None:
    whole = small_backup.read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(SetupError, match=r"damaged|no backup"):
        restore(Settings(data=tmp_path / "target"), tmp_path / "cut.tar", force=False)


def test_backup_of_a_later_schema_or_format_is_refused(small_backup: Path, tmp_path: Path) -> None:
    for old, new, told in (
        (b'"schema": "0', b'"schema": "9', "schema 9"),
        (b'"version": 1', b'"version": 2', "format 2"),
    ):

        def change(members: list[tuple[tarfile.TarInfo, bytes]], old: bytes = old, new: bytes = new) -> None:
            text = members[0][1].replace(old, new)
            members[0] = members[0][0], text
            members[1] = members[1][0], hashlib.sha256(text).hexdigest().encode()

        changed = rewritten(small_backup, tmp_path / "later.tar", change)
        with pytest.raises(SetupError, match=told):
            restore(Settings(data=tmp_path / "target"), changed, force=False)


def test_damaged_sqlite_file_is_moved_aside(small_backup: Path, tmp_path: Path) -> None:
    data = tmp_path / "target"
    data.mkdir()
    (data / "goldenbench.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(SetupError, match=r"cannot be read .*--force replaces it"):
        restore(Settings(data=data), small_backup, force=False)
    restore(Settings(data=data), small_backup, force=True)
    assert (data / "goldenbench.db.damaged").exists()
    store = Store(Settings(data=data).store_url)
    store.migrate()
    with store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Study)) == 1
    store.close()


def test_log_that_a_killed_service_left_is_not_replayed_into_the_restored_file(
    small_backup: Path, tmp_path: Path
) -> None:
    data = tmp_path / "target"
    restore(Settings(data=data), small_backup, force=False)
    store = Store(Settings(data=data).store_url)
    submit(store)
    left = (data / "goldenbench.db-wal").read_bytes()
    store.close()
    (data / "goldenbench.db").unlink()
    (data / "goldenbench.db-wal").write_bytes(left)
    restore(Settings(data=data), small_backup, force=False)
    with store.read() as session:
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert session.scalar(sa.select(sa.func.count()).select_from(Study)) == 1
    store.close()


def test_sqlite_that_somebody_has_open_is_not_replaced(small_backup: Path, tmp_path: Path) -> None:
    target = Settings(data=tmp_path / "target")
    restore(target, small_backup, force=False)
    open_elsewhere = Store(target.store_url)
    with open_elsewhere.read() as session:
        session.execute(sa.select(Study.id)).all()
        with pytest.raises(SetupError, match="something still uses"):
            restore(target, small_backup, force=True)
    open_elsewhere.close()


def test_backup_of_one_database_is_not_restored_into_the_other(
    small_backup: Path, postgresql_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="is of sqlite, and the database is postgresql"):
        restore(settings(postgresql_store, tmp_path), small_backup, force=True)


def test_backup_never_replaces_a_file(small_backup: Path) -> None:
    before = small_backup.read_bytes()
    with pytest.raises(SetupError, match="exists already"):
        make(Settings(data=small_backup.parent), small_backup)
    assert small_backup.read_bytes() == before


def test_commands_say_what_they_did(small_backup: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    target = str(tmp_path / "target")
    restored = run(app, ["restore", str(small_backup), "--data", target])
    assert restored.exit_code == 0, restored.output
    assert "restored 1 studies, 10 trainings, 1 data sets" in restored.output
    made = run(app, ["backup", str(tmp_path / "again.tar"), "--data", target])
    assert made.exit_code == 0, made.output
    assert "1 studies, 10 trainings, 1 data sets" in made.output
