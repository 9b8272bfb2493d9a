"""A little of everything that a cluster sees in a day, again and again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis

from shared.keys import SHARED_TAG, Keys
from tests.support.cluster import Cluster
from tests.support.slow_client import SlowClient

_LARGE = "x" * 60_000


class Scene:
    """What goes on, and how often it went on.

    Attributes:
        rounds: of everything, to the end.
        between_rounds: nothing goes on while somebody holds it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.rounds = 0
        self.between_rounds = asyncio.Lock()

    @asynccontextmanager
    async def played(self) -> AsyncIterator[Scene]:
        """Play it for as long as the context lasts; it stops in the middle of nothing."""
        cluster = self._cluster
        slow = SlowClient(cluster, "slow")
        await slow.connect()
        async with (
            cluster.user(7),
            cluster.user(8, node=cluster.nodes[1]),
            cluster.admin(1) as admin,
            cluster.admin(2, node=cluster.nodes[1]),
        ):
            stop = asyncio.Event()
            task = asyncio.create_task(self._play(stop))
            try:
                yield self
            finally:
                stop.set()
                await task
                slow.close()
            assert admin.is_open

    async def _play(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with self.between_rounds:
                await self._publish()
                await self._publish_in_batches()
                await self._come_and_go()
                await self._lose_something()
                self.rounds += 1
            await asyncio.sleep(0.2)

    async def _publish(self) -> None:
        router, video = self._cluster.router, self.rounds
        await router.send({"users": [7, 8]}, {"type": "order_paid", "order": self.rounds})
        await router.send("all", {"type": "large", "text": _LARGE})
        await router.notify("system_message", message="hello", target="all")
        await router.notify("transcode_progress", video_id=video, status="processing", progress=50, user_id=7)
        await router.notify("transcode_complete", video_id=video, title="a", format_type="av1", file_size=1, user_id=7)
        await router.notify("transcode_failed", video_id=video + 10**6, title="b", error="no", user_id=7)
        await router.send("all", {"type": "over", "expires_at": time.time() + 0.0001})

    async def _publish_in_batches(self) -> None:
        router = self._cluster.router
        good = {"audience": {"users": [7]}, "message": {"type": "one_of_many"}}
        bad = {"audience": {"users": [7]}, "message": {"no": "type"}}
        key = secrets.token_hex(8)
        for _ in range(2):  # the second time, it is a replay
            assert (await router.post("messages/batch", {"items": [good, bad, good]}, key=key)).status_code == 200
        assert (await router.post("messages", good, key=key)).status_code == 409
        assert (await router.post("messages", bad)).status_code == 422
        assert (await router.post("messages", good, bearer="nobody's key, but long enough")).status_code == 401

    async def _come_and_go(self) -> None:
        cluster = self._cluster
        assert (await cluster.refusal("no token at all"))[0] == 4401
        assert (await cluster.refusal(cluster.tokens.user(9), admin=True))[0] == 4403
        async with cluster.user(7) as user:
            cursor = user.connected["cursor"]
        await cluster.router.send({"users": [7]}, {"type": "missed"})
        async with cluster.user(7, since=cursor) as back:
            assert back.connected["recovered"] is True
        async with cluster.user(9, since="u.OQ.1-1,all.1-1") as late:
            assert late.connected["recovered"] is False

    async def _lose_something(self) -> None:
        """Have the nodes hear of an event far ahead: they look into history for what must have been before it."""
        keys = Keys(self._cluster.prefix)
        async with redis.Redis.from_url(self._cluster.redis.url) as server:
            top = await server.hget(keys.seq(SHARED_TAG), "all")
            epoch, _, number = top.partition(b"-")
            ahead = b'1 e 9 all %s-%d 0 - - -\n{"type":1' % (epoch, int(number) + 1000)
            await server.publish(keys.all_channel, ahead)
