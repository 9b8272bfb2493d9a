"""What Alembic runs to migrate: on the connection and in the transaction that it is given."""

from __future__ import annotations

from alembic import context

from shared.inbox_tables import Base
from shared.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
context.run_migrations()
