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
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, make_url, text

from shared.database import Database
from shared.errors import DatabaseUnavailable, RealtimeError, SettingsError
from shared.inbox_settings import InboxSettings

logger = logging.getLogger(__name__)

VERSION_TABLE: Final = "inbox_alembic_version"
REVISIONS: Final = ("0001",)  # as in migrations/, oldest first: whoever has to migrate nothing need not load Alembic
PATIENCE: Final = 3600.0  # s; a migration may rewrite a large table
_LOCK: Final = 0x76737274  # "vsrt": migrations of one database wait for each other


class SchemaTooOld(RealtimeError):
    def __init__(self, found: str | None, needed: str) -> None:
        self.found, self.needed = found, needed
        super().__init__(found, needed)

    def __str__(self) -> str:
        found = f"is {self.found}, older than" if self.found else "is not there; needed is"
        return f"DATABASE_URL: the schema {found} {self.needed}: run `python -m router.migrate` first"


def config(connection: Connection) -> Any:
    """Return Alembic's configuration for a connection."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", "shared:migrations")
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


async def migrate(database: Database) -> None:
    """Bring the schema up to date; those who do it at once take turns. One that we do not know is left as it is.

    Raises:
        DatabaseError: nothing was done.
    """
    async with database.writing() as connection:
        await connection.run_sync(_migrate)


async def migrate_down(database: Database, revision: str) -> None:
    """Take the schema back to a revision, or to nothing (``base``): what only the later ones held is lost."""
    from alembic import command

    async with database.writing() as connection:
        await connection.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def prepare_schema(settings: InboxSettings) -> None:
    """See to it that the schema is the one that we need, as far as the database can be asked.

    Raises:
        SchemaTooOld: a PostgreSQL database must be migrated first.
        SettingsError: the SQLite file cannot be used.
    """
    try:
        await _prepare(settings)
    except (DatabaseUnavailable, OSError) as exc:
        raise SettingsError(_unusable(settings.database_url.get_secret_value(), exc)) from exc


def _unusable(url: str, exc: DatabaseUnavailable | OSError) -> str:
    why = exc.reason if isinstance(exc, DatabaseUnavailable) else exc.strerror
    return f"DATABASE_URL: {Path(make_url(url).database or '').absolute()} cannot be used: {why}"


async def _prepare(settings: InboxSettings) -> None:
    async with Database.from_settings(settings, "vsrt-schema") as database:
        try:
            async with database.reading() as connection:
                present = await connection.run_sync(_present)
        except DatabaseUnavailable as exc:
            if database.is_sqlite:
                raise
            logger.warning("the inbox's database is away; going on without", extra={"error": str(exc)})
            return
        if present is not None and (present == REVISIONS[-1] or present not in REVISIONS):
            return
        if not database.is_sqlite:
            raise SchemaTooOld(present, REVISIONS[-1])
    url = settings.database_url.get_secret_value()
    async with Database(url, name="vsrt-migrate", pool_size=1, timeout=PATIENCE) as database:
        await migrate(database)


def _migrate(connection: Connection) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    present = _present(connection)
    if present == REVISIONS[-1]:
        return
    if present is not None and present not in REVISIONS:
        logger.warning("the schema is a later version's; left as it is", extra={"revision": present})
        return
    command.upgrade(config(connection), "head")
    logger.info("schema migrated", extra={"before": present or "none", "after": REVISIONS[-1]})


def _present(connection: Connection) -> str | None:
    """Return the schema's revision; None if there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return revision
