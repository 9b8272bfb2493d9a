"""The queue of the SDK behind Sentinels: it finds the master, whoever that is now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from videosite_realtime import Undelivered

from tests.sdk.queue_ways import SHORT, NewWay, Way, both, connections, keys_on
from tests.support.ports import LOOPBACK
from tests.support.sentinels import ENDLESS, MASTER, Sentinel, Watched, command
from tests.support.waiting import until, until_equal


@asynccontextmanager
async def watched(directory: Path, **more: Any) -> AsyncIterator[Watched]:
    async with Watched(directory / "watched", **more) as servers:
        yield servers


def sentinels_of(servers: Watched) -> dict[str, Any]:
    hosts = [f"{LOOPBACK}:{sentinel.port}" for sentinel in servers.sentinels]
    return {"sentinels": hosts, "sentinel_master": MASTER}


async def test_a_master_that_dies_is_followed_by_another_and_every_message_arrives_once(tmp_path: Path) -> None:
    async with watched(tmp_path) as servers:
        ways = [Way(kind, **sentinels_of(servers)) for kind in ("async", "sync")]
        keys = [await each.append(0) for each in ways]
        old = await servers.master()
        assert await keys_on(old) == keys
        await servers.in_step(old)
        await old.kill()
        appending = [asyncio.create_task(each.append(1)) for each in ways]
        for each in ways:
            await asyncio.wait_for(each.waits.wait(), 30)
        new = await servers.promoted(old)
        keys += await asyncio.gather(*appending)
        assert sorted(await keys_on(new)) == sorted(keys)
        for each in ways:
            await each.close()
        await until_equal(lambda: connections(new), 0)


@both
async def test_a_server_that_turned_read_only_loses_the_connection(tmp_path: Path, way: NewWay) -> None:
    """Sentinels cut such connections as well; this is for when they could not."""
    async with watched(tmp_path, sentinels=1) as servers:
        queue = way(**sentinels_of(servers))
        first, second = servers.servers
        keys = [await queue.append(0)]
        await servers.in_step(first)
        await servers.sentinels[0].ask("SENTINEL", "REMOVE", MASTER)
        await command(second, "REPLICAOF", "NO", "ONE")
        await command(first, "REPLICAOF", LOOPBACK, str(second.port))
        appending = asyncio.create_task(queue.append(1))
        await asyncio.wait_for(queue.waits.wait(), 30)
        await servers.sentinels[0].ask("SENTINEL", "MONITOR", MASTER, LOOPBACK, str(second.port), "1")
        keys.append(await appending)
        assert await keys_on(second) == keys
        await queue.close()


async def test_no_sentinel_is_forgotten_however_many_tasks_ask_at_once(tmp_path: Path) -> None:
    async with watched(tmp_path, sentinels=1) as servers:
        late = Sentinel(tmp_path / "late", servers.servers[0].port, 1, patience=ENDLESS)
        hosts = [f"{LOOPBACK}:{late.port}", *sentinels_of(servers)["sentinels"]]
        queue = Way("async", sentinels=hosts, sentinel_master=MASTER)
        await asyncio.gather(*(queue.append(number) for number in range(10)))
        late.launch()
        try:
            await until(lambda: _knows(late))
            await servers.sentinels[0].kill()
            await command(servers.servers[0], "CLIENT", "KILL", "TYPE", "normal")
            await queue.append(10)
            assert len(set(await keys_on(servers.servers[0]))) == 11
        finally:
            await queue.close()
            await late.end()


async def _knows(sentinel: Sentinel) -> bool:
    try:
        return bool(await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER))
    except redis.RedisError:
        return False


@both
async def test_sentinels_that_know_no_such_master_are_told_at_the_deadline(tmp_path: Path, way: NewWay) -> None:
    async with watched(tmp_path, sentinels=1) as servers:
        queue = way(**{**sentinels_of(servers), "sentinel_master": "another"}, retry=SHORT)
        with pytest.raises(Undelivered, match="No master found for 'another'"):
            await queue.append(0)
        await queue.close()
