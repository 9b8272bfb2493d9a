"""Who sums up and clears away, while everybody could."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import caretaker
from shared.caretaker import Caretaker
from shared.deaths import Deaths
from shared.keys import SHARED_TAG, Keys, bucket
from shared.redis_link import RedisLink
from shared.redis_wire import Argument, Reply
from shared.scripts import LEASE, Scripts
from shared.stats import ClusterStats, Counters
from tests.shared.redis_server import until


@contextlib.asynccontextmanager
async def at_work(caretaker: Caretaker) -> AsyncIterator[Caretaker]:
    task = asyncio.create_task(caretaker.run())
    try:
        yield caretaker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def register_someone(link: RedisLink, keys: Keys) -> None:
    """Two users with three connections and an admin, on a node whose lease holds."""
    await link.send("HSET", keys.users("3"), "a", "1 n1=2")
    await link.send("HSET", keys.users("0"), "b", "1 n1=1")
    await link.send("HSET", keys.totals, "user", 3, "admin", 1)


async def test_the_caretaker_sums_up_for_everyone(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    await register_someone(link, keys)
    async with at_work(Caretaker(link, scripts, keys)) as caretaker:
        await until(lambda: caretaker.stats.counters == Counters(2, 3, 1))
        assert abs(caretaker.stats.at_ms - link.server_ms()) < 60_000
    assert ClusterStats.load(await link.send("GET", keys.stats)).counters == Counters(2, 3, 1)


async def test_of_two_one_works_and_the_other_reads(
    link: RedisLink, scripts: Scripts, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "LOCK_MS", 60_000)  # a machine that stands still for two seconds ends no turn
    await register_someone(link, keys)
    async with at_work(Caretaker(link, scripts, keys)) as one, at_work(Caretaker(link, scripts, keys)) as other:
        await until(lambda: one.stats.counters == other.stats.counters == Counters(2, 3, 1))
        holder = await link.send("GET", keys.caretaker)
        seen = max(one.stats.at_ms, other.stats.at_ms)
        await until(lambda: one.stats.at_ms > seen < other.stats.at_ms)
        assert await link.send("GET", keys.caretaker) == holder


async def test_whose_turn_it_is_can_be_read(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    async with at_work(Caretaker(link, scripts, keys, "node-7")) as caretaker:
        await until(lambda: caretaker.stats.at_ms)
        assert (await link.send("GET", keys.caretaker)).startswith(b"node-7.")


async def test_when_the_one_at_work_dies_another_takes_over(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    async with at_work(Caretaker(link, scripts, keys)) as first:
        await until(lambda: first.stats.at_ms)
    await register_someone(link, keys)
    assert -1 != await link.send("PTTL", keys.caretaker) <= 2000, "a lock that its dead holder keeps for ever"
    async with at_work(Caretaker(link, scripts, keys)) as second:
        await until(lambda: second.stats.counters == Counters(2, 3, 1))


async def test_a_node_whose_lease_lapsed_is_gone_from_registry_and_counters(
    link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    names = (keys.leases, keys.nodes, keys.counts, keys.totals, keys.gone, keys.seq(SHARED_TAG))
    await scripts.run(link, LEASE, names, ("take", "dead.1", 1, 1, 2, 1, "{}"))
    await scripts.run(link, LEASE, names, ("take", "live.1", 60_000, 1, 1, 0, "{}"))
    tag = bucket("7")
    await link.send("HSET", keys.users(tag), "7", "1 dead.1=2 live.1=1")
    await link.send("HSET", keys.held(tag, "dead.1"), "7", "2", "#rev", "1")
    async with at_work(Caretaker(link, scripts, keys)) as caretaker:
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 1)
        await until(lambda: caretaker.stats.counters == Counters(1, 1, 0))
    assert await link.send("HGET", keys.users(tag), "7") == b"1 live.1=1"
    assert await link.send("ZCARD", keys.dying) == 0
    assert (await scripts.run(link, LEASE, names, ("take", "dead.1", 8000, 2, 2, 1, "{}")))[0] == b"lost"


class SlowLink:
    """A link over which every answer takes long."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, *args: Argument) -> asyncio.Future[Reply]:
        return asyncio.ensure_future(self._send(*args))

    async def _send(self, *args: Argument) -> Reply:
        await asyncio.sleep(0.4)
        return await self._link.send(*args)


async def test_looks_over_a_slow_link_are_looks_and_prolong_no_leases(
    link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    slow: Any = SlowLink(link)
    async with at_work(Caretaker(slow, scripts, keys)) as caretaker:
        await until(lambda: caretaker.stats.at_ms)
        await link.send("ZADD", keys.leases, link.server_ms() - 1000, "dead.1")
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 1)


async def test_sums_that_are_written_late_count_no_death_twice(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    await link.send("SET", keys.caretaker, "another")
    async with at_work(Caretaker(link, scripts, keys)) as caretaker:
        for at_ms, dead in ((1, 0), (3, 1), (2, 0), (4, 1)):
            await link.send("SET", keys.stats, ClusterStats(at_ms, deaths=Deaths(dead)).dump())
            await until(lambda at_ms=at_ms: caretaker.stats.at_ms == at_ms)
        assert caretaker.deaths.total == Deaths(1)
