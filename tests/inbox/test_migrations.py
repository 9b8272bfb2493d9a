"""The schema: up and down, and when a process refuses to start."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from router.settings import RouterSettings
from shared.database import Database
from shared.errors import SettingsError
from shared.inbox_tables import Base
from shared.schema import REVISIONS, VERSION_TABLE, SchemaTooOld, config, migrate, migrate_down, prepare_schema
from tests.support.ports import LOOPBACK, free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import until


def settings(url: str) -> RouterSettings:
    return RouterSettings(database_url=url, router_api_keys="k" * 16, database_timeout=60)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def indexes(connection: Connection) -> set[str]:
    """Return how the database itself describes our indexes."""
    if connection.dialect.name == "sqlite":
        query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        query = "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'inbox%' AND tablename <> :version"
    rows = connection.execute(text(query), {"version": VERSION_TABLE} if "version" in query else {})
    return {re.sub(r"\s+", " ", sql.replace("inbox_notification.", "")) for (sql,) in rows}


async def test_up_and_down_leaves_nothing(empty_url: str):
    async with Database(empty_url, name="tests", timeout=60) as database:
        await migrate(database)
        async with database.reading() as connection:
            assert await connection.run_sync(tables) == {*Base.metadata.tables, VERSION_TABLE}
        await migrate_down(database, "base")
        async with database.reading() as connection:
            assert await connection.run_sync(tables) == {VERSION_TABLE}
        await migrate(database)


async def test_the_migrations_make_the_tables_that_the_code_knows(database: Database):
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        return compare_metadata(context, Base.metadata)

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migrations_make_the_indexes_that_the_code_knows(database: Database):
    """What autogenerate does not compare: of which rows an index is, and in which order its columns are."""

    def make(connection: Connection) -> None:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)

    async with database.writing() as connection:
        migrated = await connection.run_sync(indexes)
        await connection.run_sync(make)
        assert await connection.run_sync(indexes) == migrated


async def test_the_revisions_that_the_code_knows_are_those_of_the_migrations(database: Database):
    async with database.reading() as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(config(sync)))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


async def test_migrating_at_once_is_migrating_once(empty_url: str):
    async with Database(empty_url, name="tests", timeout=60) as database:
        await asyncio.gather(*(migrate(database) for _ in range(4)))


async def test_the_command_migrates_and_may_be_repeated(empty_url: str):
    for _ in range(2):
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router.migrate", env={"DATABASE_URL": empty_url}, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await command.communicate()
        assert command.returncode == 0, errors.decode()
    async with Database(empty_url, name="tests", timeout=60) as database, database.reading() as connection:
        assert (await connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))).scalar() == REVISIONS[-1]


async def test_sqlite_is_brought_up_to_date_by_whoever_starts_first(tmp_path: Path):
    for start in range(10):  # making a file at once ends in a refusal now and then, if nothing is done about it
        url = f"sqlite:///{tmp_path}/{start}/a/inbox.db"
        await asyncio.gather(*(prepare_schema(settings(url)) for _ in range(8)))
    async with Database(url, name="tests", timeout=60) as database, database.reading() as connection:
        assert "inbox_notification" in await connection.run_sync(tables)


async def test_a_postgresql_without_our_schema_is_refused_in_a_line_that_says_what_to_do(postgres: PostgresServer):
    url = await postgres.new_database(empty=True)
    with pytest.raises(SchemaTooOld, match=r"not there; needed is 0001: run `python -m router.migrate` first"):
        await prepare_schema(settings(url))


async def test_a_later_versions_schema_is_taken_and_left_as_it_is(database_url: str):
    async with Database(database_url, name="tests", timeout=60) as database:
        async with database.writing() as connection:
            await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        await prepare_schema(settings(database_url))
        await migrate(database)
        async with database.reading() as connection:
            assert (await connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))).scalar() == "9999"


async def test_a_postgresql_that_is_away_stops_nobody_from_starting():
    await prepare_schema(settings(f"postgresql://postgres@{LOOPBACK}:{free_port()}/inbox"))


async def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path):
    (tmp_path / "inbox.db").mkdir()
    with pytest.raises(
        SettingsError, match=r"DATABASE_URL: /.*/inbox\.db cannot be used: unable to open database file"
    ):
        await prepare_schema(settings(f"sqlite:///{tmp_path}/inbox.db"))
    # aiosqlite does not wait for the thread of a connection that came to nothing; it still speaks to this test's loop.
    await until(lambda: not any("_connection_worker" in thread.name for thread in threading.enumerate()))


async def test_a_directory_that_cannot_be_made_stops_the_start(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"DATABASE_URL: /.*/file/inbox\.db cannot be used: File exists"):
        await prepare_schema(settings(f"sqlite:///{tmp_path}/file/inbox.db"))
