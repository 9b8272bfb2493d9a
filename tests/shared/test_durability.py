"""What a server may forget is looked at once, at start."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from shared.durability import refuse_unsafe_server
from shared.errors import SettingsError
from shared.redis_address import RedisAddress
from shared.redis_link import RedisLink
from tests.shared.redis_server import RedisServer
from tests.support.access_list import PREFIX, USER, granted

PASSWORD = "a password of the test's"


@pytest.fixture
async def link(own_server: RedisServer) -> AsyncIterator[RedisLink]:
    async with RedisLink(own_server.url, name="test") as link:
        assert await link.wait_connected(20)
        await link.send("CONFIG", "SET", "maxmemory-policy", "noeviction")
        yield link


@pytest.fixture
async def humble(own_server: RedisServer, link: RedisLink) -> AsyncIterator[RedisLink]:
    """A link of the user that the chart ships, which may not use CONFIG."""
    rights = [f"+{command}" for command in granted()]
    await link.send("ACL", "SETUSER", USER, "on", f">{PASSWORD}", f"~{PREFIX}:*", f"&{PREFIX}:*", *rights)
    address = RedisAddress(own_server.url, options={"username": USER, "password": PASSWORD})
    async with RedisLink(address, name="humble") as humble:
        assert await humble.wait_connected(20)
        yield humble


@pytest.mark.parametrize("who", ["link", "humble"])
async def test_a_server_that_may_evict_is_refused_whoever_looks(who: str, link: RedisLink, humble: RedisLink) -> None:
    looks = {"link": link, "humble": humble}[who]
    await link.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(SettingsError, match="allkeys-lru"):
        await refuse_unsafe_server(looks, allow_eviction=False)
    await refuse_unsafe_server(looks, allow_eviction=True)


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "said"),
    [
        ("no", "always", "redis keeps no append-only file"),
        ("yes", "everysec", "redis does not sync every write"),
        ("yes", "always", None),
    ],
)
async def test_what_a_crash_may_forget_is_said(
    link: RedisLink, caplog: pytest.LogCaptureFixture, appendonly: str, appendfsync: str, said: str | None
) -> None:
    await link.send("CONFIG", "SET", "appendonly", appendonly)
    await link.send("CONFIG", "SET", "appendfsync", appendfsync)
    await refuse_unsafe_server(link, allow_eviction=False)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text for text in warnings if said and text.startswith(said)] == warnings
    assert bool(warnings) == bool(said)


async def test_who_may_not_see_how_often_it_syncs_says_so(
    link: RedisLink, humble: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await link.send("CONFIG", "SET", "appendonly", "yes")
    await refuse_unsafe_server(humble, allow_eviction=False)
    assert "redis does not tell how often it syncs" in caplog.text
