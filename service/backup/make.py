"""Making a backup while a service runs, or does not."""

import tempfile
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.backup import archive, datasets, postgresql, sqlite
from service.backup.manifest import DATABASE, FILE_NAME, Contents, Manifest
from service.config import Settings
from service.errors import SetupError
from service.store.engine import Store
from service.store.tables import now


def make(settings: Settings, target: Path) -> Manifest:
    """Write a backup of a service's database and prepared data sets.

    Args:
        settings: of the service.
        target: a file that does not exist.

    Returns:
        What it holds.

    Raises:
        SetupError: the file exists or cannot be written, or the database cannot be read.
    """
    if target.exists():
        raise SetupError(f"{target} exists already")
    store = Store(settings.store_url)
    try:
        # Beside the target, where there has to be room anyway, and readable for nobody else.
        with tempfile.TemporaryDirectory(prefix=".goldenbench-backup-", dir=target.absolute().parent) as folder:
            return _make(settings, store, Path(folder) / DATABASE, target)
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise SetupError(f"{target} cannot be written: {error}") from error
    finally:
        store.close()


def _make(settings: Settings, store: Store, dump: Path, target: Path) -> Manifest:
    if store.is_sqlite:
        contents, server = sqlite.take(store, dump), 0
    else:
        contents, server = postgresql.take(store, dump)
    _check_schema(store, contents)
    # After the database: a data set is there before the study that uses it is opened, and never changes.
    prepared = {f"datasets/{found.path.name}": found for found in datasets.prepared(settings.data)}
    prepared = {name: found for name, found in prepared.items() if FILE_NAME.fullmatch(name)}
    sources = {DATABASE: dump} | {name: found.path for name, found in prepared.items()}
    manifest = Manifest(
        goldenbench=version("goldenbench"),
        made_at=now().isoformat(timespec="seconds"),
        kind="sqlite" if store.is_sqlite else "postgresql",
        server=server,
        contents=contents,
        files={
            name: archive.describe(path, prepared[name].content if name in prepared else None)
            for name, path in sources.items()
        },
        absent=datasets.absent(contents.datasets, prepared),
    )
    archive.write(target, manifest, sources)
    return manifest


def _check_schema(store: Store, contents: Contents) -> None:
    if contents.schema not in store.revisions:
        raise SetupError(f"the database has schema {contents.schema}, which a later version of goldenbench has written")
