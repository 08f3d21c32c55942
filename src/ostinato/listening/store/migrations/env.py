"""Runs migrations on the connection that `database.py` passes; Alembic loads this file itself."""

from alembic import context

from ostinato.listening.store.tables import Base

VERSION_TABLE = "listening_version"

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
