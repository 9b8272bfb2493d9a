"""Traffic of all kinds: to users, to admins, to everybody, and the progress of transcodes."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.cluster import Cluster
from tests.support.follower import Follower, number
from tests.support.waiting import until

_PAUSE = 0.05  # s before a failed call is repeated


class Traffic:
    """Publishes until it is stopped, by all routers in turn, and repeats with the same key what was not answered 202.

    Attributes:
        accepted: how many messages were answered 202.
        progress: of every transcode under way, the newest value that was answered 202; of ended ones, None.
    """

    def __init__(self, cluster: Cluster, users: Sequence[str], *, producers: int = 3, pause: float = 0.02) -> None:
        self._cluster, self._users = cluster, users
        self._producers, self._pause = producers, pause
        self._ids: dict[str, set[str]] = defaultdict(set)
        self._turns = itertools.count()
        self._stopping = False
        self.accepted = 0
        self.progress: dict[int, int | None] = {}

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[Traffic]:
        """Publish while the block runs; afterwards every call has had its answer."""
        tasks = [asyncio.create_task(self._produce(index)) for index in range(self._producers)]
        try:
            yield self
            self._stopping = True
            await asyncio.wait_for(asyncio.gather(*tasks), 60)
        finally:
            for task in tasks:
                task.cancel()

    @property
    def sent(self) -> dict[str, list[str]]:
        """Every event that was answered 202, by stream, in order."""
        return {stream: sorted(ids, key=number) for stream, ids in self._ids.items()}

    async def more(self, messages: int) -> None:
        """Wait until so many more have been answered 202."""
        wanted = self.accepted + messages
        await until(lambda: self.accepted >= wanted, timeout=30)

    async def _produce(self, index: int) -> None:
        async with self._cluster.router.http() as http:
            video, progress = self._cluster.number(), 0
            owner = random.choice(self._users)
            for turn in itertools.count(index):
                if self._stopping:
                    return
                if turn % 4 < 3:
                    audience = ({"users": [random.choice(self._users)]}, "admin", "all")[turn % 3]
                    await self._publish(http, "messages", {"audience": audience, "message": {"type": "event"}})
                else:
                    progress += 20
                    await self._publish(http, "notifications", _transcode(video, progress, owner))
                    self.progress[video] = progress if progress < 100 else None
                    if progress == 100:
                        video, progress, owner = self._cluster.number(), 0, random.choice(self._users)
                await asyncio.sleep(self._pause)

    async def _publish(self, http: httpx.AsyncClient, call: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {self._cluster.api_key}", "Idempotency-Key": secrets.token_hex(8)}
        while True:
            routers = self._cluster.routers
            router = routers[next(self._turns) % len(routers)]
            try:
                answer = await http.post(f"{router.url}/api/v1/{call}", json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(_PAUSE)
                continue
            if answer.status_code == 202:
                break
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(_PAUSE)
        self.accepted += 1
        for event in answer.json()["ids"].values():
            self._ids[event.rpartition(".")[0]].add(event)


async def assert_nothing_lost_or_doubled(traffic: Traffic, clients: Sequence[Follower]) -> None:
    sent = traffic.sent

    def all_arrived() -> bool:
        for client in clients:
            client.check()
        return all(
            len(client.ids[stream]) >= len(sent.get(stream, ())) for client in clients for stream in client.streams
        )

    try:
        await until(all_arrived, timeout=30)
    finally:
        faults = {client.user: client.faults(sent) for client in clients}
        assert {user: found for user, found in faults.items() if found} == {}
    under_way = {video: progress for video, progress in traffic.progress.items() if progress is not None}
    for client in clients:
        if client.admin:
            await until(lambda client=client: under_way.items() <= client.progress.items())


def _transcode(video: int, progress: int, owner: str) -> dict[str, Any]:
    if progress < 100:
        return {
            "type": "transcode_progress",
            "video_id": video,
            "status": "processing",
            "progress": progress,
            "user_id": owner,
        }
    file = {"title": "示例视频", "format_type": "av1", "file_size": 1}
    return {"type": "transcode_complete", "video_id": video, "user_id": owner, **file}
