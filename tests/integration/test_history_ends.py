"""The ends of history, by length and by age: what it no longer has is told, what was not missed is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis

from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from tests.support.cluster import Cluster
from tests.support.events import ids_of, send
from tests.support.waiting import until


async def send_many(cluster: Cluster, audience: Any, count: int) -> list[str]:
    to = {"users": [audience]} if isinstance(audience, int) else audience
    answer = await cluster.router.post(
        "messages/batch", {"items": [{"audience": to, "message": {"type": "event"}}] * count}
    )
    return [result["id"] for result in answer.json()["results"]]


class ShortMemory:
    """A cluster that keeps 10 events per stream and for 1 s, and a look at what it still has."""

    def __init__(self, cluster: Cluster, server: redis.Redis) -> None:
        self.cluster, self._server, self._keys = cluster, server, Keys(cluster.prefix)

    async def has_expired(self, audience: Any) -> None:
        shared = isinstance(audience, str)
        tag = SHARED_TAG if shared else bucket(str(audience))
        key = self._keys.stream(tag, audience if shared else user_stream(str(audience)))

        async def gone() -> bool:
            return not await self._server.exists(key)

        await until(gone)


@asynccontextmanager
async def short_memory(new_cluster: Any, **limits: str) -> AsyncIterator[ShortMemory]:
    cluster = await new_cluster(nodes=2, **limits)
    async with redis.Redis.from_url(cluster.redis.url) as server:
        yield ShortMemory(cluster, server)


async def test_who_was_away_beyond_the_length_of_history_is_told_and_gets_nothing_partial(new_cluster) -> None:
    # Redis trims by whole blocks of a hundred entries.
    limits = {"HISTORY_LENGTH": "10", "HISTORY_LENGTH_SHARED": "10"}
    async with short_memory(new_cluster, **limits) as memory:
        cluster, user = memory.cluster, memory.cluster.number()
        sent = {audience: await send_many(cluster, audience, 350) for audience in (user, "admin", "all")}
        fresh = await cluster.start_node()  # the tails that the others keep in memory reach further back than Redis
        for first, good in ((0, False), (50, False), (-10, True), (-1, True)):
            for own, connect in ((user, cluster.user), ("admin", cluster.admin)):
                since = f"{sent[own][first]},{sent['all'][-1]}"
                async with connect(user, node=fresh, since=since) as client:
                    assert client.connected["recovered"] is good
                    missed = sent[own][first:][1:] if good else []
                    assert await ids_of(client, len(missed)) == missed
                    await client.nothing_else()
                    top = f"{sent[own][-1]},{sent['all'][-1]}"
                    assert client.connected["cursor"] == (since if good else top)
            async with cluster.user(user, node=fresh, since=f"{sent[user][-1]},{sent['all'][first]}") as browser:
                assert browser.connected["recovered"] is good
                assert await ids_of(browser, -first - 1 if good else 0) == (sent["all"][first:][1:] if good else [])
                await browser.nothing_else()


async def test_who_was_away_beyond_the_age_of_history_is_told_and_gets_nothing_partial(new_cluster) -> None:
    async with short_memory(new_cluster, HISTORY_TTL="1") as memory:
        cluster, user = memory.cluster, memory.cluster.number()
        async with cluster.user(user) as browser:
            await send(cluster, user)
            await ids_of(browser, 1)
        missed = await send(cluster, user, 2)
        await memory.has_expired(user)
        for node in cluster.nodes:
            async with cluster.user(user, node=node, since=browser.since) as again:
                assert again.connected["recovered"] is False
                assert again.connected["cursor"].split(",")[0] == missed[-1]
                await again.nothing_else()


async def test_a_stream_that_expires_between_two_events_loses_a_live_client_nothing(new_cluster) -> None:
    async with short_memory(new_cluster, HISTORY_TTL="1") as memory:
        cluster, user = memory.cluster, memory.cluster.number()
        audiences = (user, "admin", "all")
        async with cluster.user(user) as browser, cluster.admin(node=cluster.nodes[1]) as page:
            for _ in range(2):
                sent = {audience: (await send(cluster, audience))[0] for audience in audiences}
                assert sorted(await ids_of(browser, 2)) == sorted([sent[user], sent["all"]])
                assert sorted(await ids_of(page, 2)) == sorted([sent["admin"], sent["all"]])
                await asyncio.gather(*(memory.has_expired(audience) for audience in audiences))
            await browser.nothing_else()
            await page.nothing_else()


async def test_a_quiet_stream_that_expired_is_resumed_if_nothing_was_missed(new_cluster) -> None:
    async with short_memory(new_cluster, HISTORY_TTL="1") as memory:
        cluster, user = memory.cluster, memory.cluster.number()
        async with cluster.user(user) as browser, cluster.admin() as page:
            for audience in (user, "admin", "all"):
                await send(cluster, audience, 2)
            await ids_of(browser, 4)
            await ids_of(page, 4)
        await asyncio.gather(*(memory.has_expired(audience) for audience in (user, "admin", "all")))
        for node in (*cluster.nodes, await cluster.start_node()):
            async with (
                cluster.user(user, node=node, since=browser.since) as browser_again,
                cluster.admin(node=node, since=page.since) as page_again,
            ):
                for client, since in ((browser_again, browser.since), (page_again, page.since)):
                    assert client.connected["recovered"] is True
                    assert client.connected["cursor"] == since
                    await client.nothing_else()
