"""Is the database's schema the one that this version needs? SQLite is brought up to date, PostgreSQL is not.

| the database | a node or router that starts |
| --- | --- |
| has our schema | goes on |
| has one that we do not know | goes on: it is a later version's, which may only have added to ours |
| has none, or an older one | SQLite: migrates. PostgreSQL: says so and ends (``python -m router.migrate``) |
| does not answer | goes on without an inbox until it does |
"""

from __future__ import annotations

import logging
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from shared.database import Database
from shared.errors import DatabaseUnavailable, RealtimeError
from shared.inbox_settings import InboxSettings

logger = logging.getLogger(__name__)

VERSION_TABLE: Final = "inbox_alembic_version"
_LOCK: Final = 0x76737274  # "vsrt": migrations of one database wait for each other


class SchemaTooOld(RealtimeError):
    def __init__(self, found: str | None, needed: str) -> None:
        self.found, self.needed = found, needed
        super().__init__(found, needed)

    def __str__(self) -> str:
        found = f"is {self.found}, older than" if self.found else "is not there; needed is"
        return f"DATABASE_URL: the schema {found} {self.needed}: run `python -m router.migrate` first"


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for a connection."""
    made = Config()
    made.set_main_option("script_location", "shared:migrations")
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def newest() -> str:
    """Return the revision that this version needs."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


async def migrate(database: Database) -> None:
    """Bring the schema up to date; those who do it at once take turns. One that we do not know is left as it is.

    Raises:
        DatabaseError: nothing was done.
    """
    async with database.writing() as connection:
        await connection.run_sync(_migrate)


async def migrate_down(database: Database, revision: str) -> None:
    """Take the schema back to a revision, or to nothing (``base``): what only the later ones held is lost."""
    async with database.writing() as connection:
        await connection.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def prepare_schema(settings: InboxSettings) -> None:
    """See to it that the schema is the one that we need, as far as the database can be asked.

    Raises:
        SchemaTooOld: a PostgreSQL database must be migrated first.
        DatabaseError: the SQLite file cannot be used.
    """
    async with Database.from_settings(settings, "vsrt-schema") as database:
        if database.is_sqlite:
            await migrate(database)
            return
        try:
            async with database.reading() as connection:
                present = await connection.run_sync(_present)
        except DatabaseUnavailable as exc:
            logger.warning("the inbox's database is away; going on without", extra={"error": str(exc)})
            return
    if present is None or (present != newest() and _is_ours(present)):
        raise SchemaTooOld(present, newest())


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    present = _present(connection)
    if present == newest():
        return
    if present is not None and not _is_ours(present):
        logger.warning("the schema is a later version's; left as it is", extra={"revision": present})
        return
    command.upgrade(config(connection), "head")
    logger.info("schema migrated", extra={"before": present or "none", "after": newest()})


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _is_ours(revision: str) -> bool:
    return revision in {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
