"""Alembic's environment: migrates through the engine that `Store.migrate` passes in."""

from alembic import context

from service.store.engine import VERSION_TABLE
from service.store.tables import Base

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
