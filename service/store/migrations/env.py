"""Alembic's environment: migrates through the engine that `Store.migrate` passes in, in one transaction.

Services that start together on one database migrate one after the other: SQLite's transactions here take the write
lock when they begin, PostgreSQL's take a lock of ours. It has to be begun before Alembic looks: on SQLite it would
commit after each migration, and another service could come in between.
"""

import sqlalchemy as sa
from alembic import context

from service.store.engine import VERSION_TABLE
from service.store.tables import Base

LOCK_NUMBER = 0x601D_E27C
"""PostgreSQL's advisory lock of a migration (an arbitrary number of ours)."""

with context.config.attributes["engine"].begin() as connection:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_NUMBER)))
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
