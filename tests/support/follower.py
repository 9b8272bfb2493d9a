"""A browser that stays: sent away or cut off, it comes back with ``since``, as the hook of the admin page does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from websockets.exceptions import WebSocketException

from tests.support.client import Message, dial
from tests.support.cluster import Cluster, Node

_AT_A_TIME = 100  # that connect together
_BACK_OFF = (0.05, 0.3)  # s before the next attempt where no node said anything else


class Follower:
    """One user or admin over as many connections as it takes, on whichever node ``choose`` names.

    Attributes:
        ids: by stream, the ids of all events it was shown, in that order.
        gaps: how often it was told that events were lost for good (``recovered: false``, ``resync``).
        backwards: states that were older than what it had seen before.
        told: per ``reconnect`` that it was sent: when, by the monotonic clock, and after how many ms to come back.
        returns: when it was connected again, by the monotonic clock.
    """

    def __init__(self, cluster: Cluster, user: int | str, *, admin: bool, choose: Callable[[], Node]) -> None:
        self.user, self.admin = str(user), admin
        self._token = (cluster.tokens.admin if admin else cluster.tokens.user)(user)
        self._choose = choose
        self.ids: dict[str, list[str]] = defaultdict(list)
        self.gaps = 0
        self.is_connected = False
        self.backwards: list[Message] = []
        self.told: list[tuple[float, int]] = []
        self.returns: list[float] = []
        self.progress: dict[int, int] = {}
        self._cursors: dict[str, str] = {}
        self._retry_after: float | None = None
        self._running: asyncio.Task[None] | None = None
        self._welcomed = asyncio.Event()

    async def start(self) -> None:
        """Connect and stay connected from here on."""
        self._running = asyncio.create_task(self._run())
        async with asyncio.timeout(60):
            await self._welcomed.wait()

    async def stop(self) -> None:
        assert self._running is not None
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    def check(self) -> None:
        """Raise what ended it, if anything did: who waits for what it hears would wait in vain."""
        if self._running is not None and self._running.done():
            raise RuntimeError(f"{self.user} has ended") from self._running.exception()

    @property
    def streams(self) -> list[str]:
        return list(self._cursors)

    async def _run(self) -> None:
        while True:
            self._retry_after = None
            with contextlib.suppress(OSError, WebSocketException):  # refused, or cut off
                await self._listen()
            await asyncio.sleep(self._retry_after if self._retry_after is not None else random.uniform(*_BACK_OFF))

    async def _listen(self) -> None:
        since = {"since": ",".join(self._cursors.values())} if self._cursors else {}
        url = self._choose().socket_url(admin=self.admin, token=self._token, **since)
        async with dial(url) as connection:
            try:
                async for text in connection:
                    self._take(json.loads(text), resumed=bool(since))
            finally:
                self.is_connected = False

    def _take(self, message: Message, *, resumed: bool) -> None:
        kind = message["type"]
        if kind == "reconnect":
            self.told.append((time.monotonic(), message["retry_after_ms"]))
            self._retry_after = message["retry_after_ms"] / 1000
        elif kind == "connected":
            self.gaps += resumed and message["recovered"] is not True
            self._stand_at(message["cursor"])
            self.is_connected = True
            self.returns.append(time.monotonic())
            self._welcomed.set()
        elif kind == "resync":
            self.gaps += 1
            self._stand_at(message["cursor"])
        elif kind == "transcode_progress":
            self._take_progress(message)
        elif "id" in message:
            self.ids[_stream(message["id"])].append(message["id"])
            self._stand_at(message["id"])

    def _stand_at(self, cursor: str) -> None:
        self._cursors.update((_stream(event), event) for event in cursor.split(","))

    def _take_progress(self, message: Message) -> None:
        video, progress = message["video_id"], message["progress"]
        if progress < self.progress.get(video, 0):
            self.backwards.append(message)
        self.progress[video] = progress

    def faults(self, sent: dict[str, list[str]]) -> dict[str, Any]:
        """Return what was lost, doubled or out of order of what was sent; empty if nothing was."""
        faults: dict[str, Any] = {"gaps": self.gaps} if self.gaps else {}
        if self.backwards:
            faults["backwards"] = self.backwards
        for stream in self.streams:
            wanted, heard = sent.get(stream, []), self.ids[stream]
            if heard != wanted:
                faults[stream] = {
                    "lost": sorted(set(wanted) - set(heard)),
                    "doubled": sorted({event for event in heard if heard.count(event) > 1}),
                    "never sent": sorted(set(heard) - set(wanted)),
                    "in order": heard == sorted(heard, key=number),
                }
        return faults


@asynccontextmanager
async def followers(
    cluster: Cluster, *, users: int, admins: int, tabs: int = 1, choose: Callable[[], Node] | None = None
) -> AsyncIterator[list[Follower]]:
    """Browsers that stay connected to whichever node takes them, as behind a load balancer."""
    choose = choose or (lambda: random.choice([node for node in cluster.nodes if node.running]))
    all_of_them = [
        Follower(cluster, f"u{index}", admin=False, choose=choose) for index in range(users) for _ in range(tabs)
    ]
    all_of_them += [Follower(cluster, f"a{index}", admin=True, choose=choose) for index in range(admins)]
    async with AsyncExitStack() as stack:
        for follower in all_of_them:
            stack.push_async_callback(follower.stop)
        for first in range(0, len(all_of_them), _AT_A_TIME):
            await asyncio.gather(*(follower.start() for follower in all_of_them[first : first + _AT_A_TIME]))
        yield all_of_them


def number(event: str) -> int:
    """Return an event's n, by which a stream is ordered."""
    return int(event.rpartition("-")[2])


def _stream(event: str) -> str:
    return event.rpartition(".")[0]
