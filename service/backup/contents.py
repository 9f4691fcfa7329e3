"""What a database holds, so that a restore can be held to it."""

import sqlalchemy as sa
from alembic.migration import MigrationContext

from service.backup.manifest import Contents
from service.errors import SetupError
from service.store.engine import RESTORING, VERSION_TABLE, Store
from service.store.tables import Replicate, Study, Suite, Token


def contents(connection: sa.Connection) -> Contents:
    """Read what a database holds.

    Raises:
        SetupError: it is not a store, or one whose restore was cut short.
    """
    if sa.inspect(connection).has_table(RESTORING):
        raise SetupError("a restore of this database was cut short; there is nothing in it to back up")
    schema = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if schema is None:
        raise SetupError("there is no store of goldenbench in this database")
    studies, trainings = (
        connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (Study, Replicate)
    )
    pinned = sa.select(Study.dataset_sha256).where(Study.dataset_sha256.is_not(None)).distinct()
    return Contents(schema, studies, trainings, tuple(sorted(str(sha256) for sha256 in connection.scalars(pinned))))


def is_empty(store: Store) -> bool:
    """Whether nothing of anybody's is in a database."""
    tables = sa.inspect(store.engine).get_table_names()
    if RESTORING in tables:
        return False
    with store.read() as session:
        own = [table for table in (Study, Suite, Token) if table.__tablename__ in tables]
        return not any(session.scalar(sa.select(sa.func.count()).select_from(table)) for table in own)
