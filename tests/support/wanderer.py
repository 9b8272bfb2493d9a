"""A client that changes its way by dice: a socket, an event stream, a poll that waits, one that does not; any node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable

import httpx
from websockets.exceptions import WebSocketException

from tests.support.client import dial
from tests.support.cluster import Cluster, Node
from tests.support.event_stream import events_path
from tests.support.follower import Follower

WAYS = ("socket", "stream", "poll", "long poll")
_STAY = (0.05, 0.6)  # s on one connection, or between polls
_PAUSE = (0.0, 0.2)  # s before the next way
_STALE = 0.5  # the share of streams that go on by ``Last-Event-ID`` and an old ``since``, as browsers do


class Wanderer(Follower):
    """Goes on by the last id of each stream, however it came to it.

    Attributes:
        ways: how often it came by which way to an answer.
        misplaced: ``id:`` lines that were another place than that of the ids up to there.
    """

    def __init__(
        self, cluster: Cluster, user: int | str, *, admin: bool, choose: Callable[[], Node], dice: random.Random
    ) -> None:
        super().__init__(cluster, user, admin=admin, choose=choose)
        self._dice = dice
        self._first_cursor = ""
        self.ways: Counter[str] = Counter()
        self.misplaced = 0

    def has_gone_every_way(self, times: int) -> bool:
        """Whether it has done so often enough. Raises what ended it."""
        self.check()
        return all(self.ways[way] >= times for way in WAYS)

    async def _run(self) -> None:
        ways = {"socket": self._socket, "stream": self._stream, "poll": self._poll, "long poll": self._long_poll}
        while True:
            # Each way once in any order: by dice alone, one of many clients is unlucky for longer than a test waits.
            for name in self._dice.sample(WAYS, len(WAYS)):
                # Nobody is there, or goes in the middle of it: the next way goes on from what was heard.
                with contextlib.suppress(OSError, WebSocketException, httpx.TransportError):
                    await ways[name]()
                    self.ways[name] += 1
                await asyncio.sleep(self._dice.uniform(*_PAUSE))

    async def _socket(self) -> None:
        url = self._choose().socket_url(admin=self.admin, token=self._token, **self._query())
        with contextlib.suppress(TimeoutError):
            async with dial(url) as connection, asyncio.timeout(self._dice.uniform(*_STAY)):
                async for text in connection:
                    self._take(json.loads(text), resumed=bool(self._cursors))

    async def _stream(self) -> None:
        query, headers = self._query(), {"Accept": "text/event-stream", "Authorization": f"Bearer {self._token}"}
        resumed = bool(self._cursors)
        if resumed and self._dice.random() < _STALE:
            query, headers["Last-Event-ID"] = {"since": self._first_cursor}, query["since"]
        async with (
            self._choose().http(timeout=30) as http,
            http.stream("GET", events_path(admin=self.admin), params=query, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._dice.uniform(*_STAY)):
                    await self._follow(answer, resumed=resumed)

    async def _follow(self, answer: httpx.Response, *, resumed: bool) -> None:
        told = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                told = value
            elif field == "data" and (message := json.loads(value)).get("type"):
                self._take(message, resumed=resumed)
                if message["type"] != "reconnect":
                    self.misplaced += dict(_by_stream(told)) != self._cursors

    async def _poll(self) -> None:
        await self._ask()

    async def _long_poll(self) -> None:
        await self._ask(wait="2")

    async def _ask(self, **query: str) -> None:
        resumed = bool(self._cursors)
        answer = await self._choose().get(
            events_path(admin=self.admin), bearer=self._token, params={**self._query(), "limit": 20, **query}
        )
        if answer.status_code in (429, 503):
            return
        assert answer.status_code == 200, answer.text
        body = answer.json()
        self.gaps += resumed and body["recovered"] is not True
        for message in (*body["events"], *body["states"]):
            self._take(message, resumed=resumed)
        self._stand_at(body["cursor"])
        self._welcomed.set()

    def _query(self) -> dict[str, str]:
        return {"since": ",".join(self._cursors.values())} if self._cursors else {}

    def _stand_at(self, cursor: str) -> None:
        super()._stand_at(cursor)
        self._first_cursor = self._first_cursor or cursor


def _by_stream(cursor: str) -> list[tuple[str, str]]:
    return [(event.rpartition(".")[0], event) for event in cursor.split(",")]
