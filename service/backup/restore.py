"""Putting a backup in the place of a service's database and data sets."""

import tempfile
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.backup import archive, datasets, postgresql, sqlite
from service.backup.contents import is_empty
from service.backup.manifest import DATABASE, Manifest
from service.config import Settings
from service.dispatch.leader import Leadership
from service.errors import SetupError
from service.store.engine import Store


def restore(settings: Settings, source: Path, force: bool) -> Manifest:
    """Restore a backup. Everything is checked before anything is changed.

    Args:
        settings: of the service that will run.
        source: the backup.
        force: whether what is in the database may be replaced.

    Returns:
        What it holds.

    Raises:
        SetupError: the backup is damaged or does not fit, a service runs, or the database is not empty.
    """
    store = Store(settings.store_url)
    beside = sqlite.path_of(store).parent if store.is_sqlite else settings.data
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".goldenbench-restore-", dir=beside) as folder:
            manifest = archive.unpack(source, Path(folder))
            _check(store, manifest, Path(folder))
            _replace(settings, store, manifest, Path(folder), force)
            return manifest
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise SetupError(f"the backup cannot be restored: {error}") from error
    finally:
        store.close()


def _check(store: Store, manifest: Manifest, folder: Path) -> None:
    kind = "sqlite" if store.is_sqlite else "postgresql"
    if manifest.kind != kind:
        raise SetupError(f"the backup is of {manifest.kind}, and the database is {kind}")
    if manifest.contents.schema not in store.revisions:
        raise SetupError(
            f"the backup has schema {manifest.contents.schema}, of goldenbench {manifest.goldenbench}, and this one "
            f"knows those up to {store.revisions[-1]}: install a later version"
        )
    if store.is_sqlite and sqlite.check(folder / DATABASE) != manifest.contents:
        raise SetupError("the backup is damaged: its database does not hold what its manifest says")
    datasets.check(folder, manifest)


def _replace(settings: Settings, store: Store, manifest: Manifest, folder: Path, force: bool) -> None:
    leadership = Leadership(store)
    if not leadership.lock():
        raise SetupError("a service runs on this database; stop it first")
    try:
        if not force and not _is_empty(store):
            raise SetupError("the database is not empty; --force replaces what is in it")
        datasets.place(folder, manifest, settings.data)
        if store.is_sqlite:
            sqlite.replace(store, folder / DATABASE)
        else:
            postgresql.replace(store, folder / DATABASE, manifest.server, manifest.contents)
    finally:
        leadership.release()


def _is_empty(store: Store) -> bool:
    if store.is_sqlite and not sqlite.path_of(store).exists():
        return True
    try:
        return is_empty(store)
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be read ({str(error).splitlines()[0]}); --force replaces it") from error
