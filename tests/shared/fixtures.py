"""Fixtures for tests on a real server; the conftest of each directory that needs them imports them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.shared.press import Press
from tests.shared.redis_server import RedisServer

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The server most tests share; each has a key prefix of its own."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that a test may pause, kill and make forget."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def keys() -> Keys:
    return Keys(f"t{secrets.token_hex(6)}")


@pytest.fixture
def scripts(keys: Keys) -> Scripts:
    return Scripts(keys)


@pytest.fixture
async def link(redis_server: RedisServer, scripts: Scripts) -> AsyncIterator[RedisLink]:
    async with RedisLink(redis_server.url, name="test", prepare=scripts.prepare) as link:
        assert await link.wait_connected(20)
        yield link


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys)
