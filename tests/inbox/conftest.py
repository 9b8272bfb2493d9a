"""Both databases, each test with one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from shared.database import Database
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.schema import migrate
from shared.scripts import Scripts
from tests.shared.fixtures import keys, link, scripts
from tests.shared.press import Press
from tests.support.cluster import Cluster
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer

__all__ = ["keys", "link", "scripts"]


ENOUGH = 10_000_000  # bytes of an archive


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys, archive_max_bytes=ENOUGH)


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    server = PostgresServer()
    try:
        await server.start()
        yield server
    finally:
        await server.end()
        server.remove()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """The one PostgreSQL of the whole run. Whoever stops it takes ``own_postgres``."""
    async with running_postgres() as server:
        yield server


@pytest.fixture
async def own_postgres() -> AsyncIterator[PostgresServer]:
    async with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_url(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/inbox.db" if request.param == "sqlite" else await postgres.new_database(empty=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> str:
    """A database with our schema and nothing in it."""
    if request.param == "postgresql":
        return await postgres.new_database()
    url = f"sqlite:///{tmp_path}/inbox.db"
    async with Database(url, name="tests", timeout=60) as database:
        await migrate(database)
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, name="tests", pool_size=10, timeout=60) as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def cluster(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Cluster]:
    """Two nodes and a router with an inbox. None of them may have had anything to complain about."""
    directory = tmp_path_factory.mktemp("cluster")
    url = f"sqlite:///{directory}/inbox.db" if request.param == "sqlite" else await postgres.new_database()
    cluster = Cluster(redis_server, directory, DATABASE_URL=url, DATABASE_TIMEOUT="30")
    try:
        await cluster.start(nodes=2, routers=1)
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []
