"""A client of Server-Sent Events, as the tests see it: by the standard's rules of parsing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

import httpx

from tests.support.client import SOON
from tests.support.waiting import Patience

Message = dict[str, Any]


class Place(Protocol):
    """A node, or what stands in front of nodes."""

    def http(self, *, timeout: float) -> httpx.AsyncClient: ...


def events_path(*, admin: bool = False) -> str:
    return "/api/v1/events/admin" if admin else "/api/v1/events"


class EventStream:
    """Keeps every message it was sent.

    Attributes:
        texts: of every message, as it came.
        last_event_id: what a browser sends as ``Last-Event-ID``.
        retry_ms: what a browser waits before it comes back.
        comments: how many came.
        close: what the node said of the end.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.texts: list[str] = []
        self.unread: list[Message] = []
        self.last_event_id = ""
        self.retry_ms = 0
        self.comments = 0
        self.close: Message | None = None
        self.broken = False
        self.connected: Message = {}
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def open(
        cls, node: Place, token: str, *, admin: bool = False, since: str | None = None, last_event_id: str | None = None
    ) -> AsyncIterator[Self]:
        """Ask for a stream; its status is not looked at."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        query = {"since": since} if since is not None else {}
        async with (
            node.http(timeout=60) as http,
            http.stream("GET", events_path(admin=admin), params=query, headers=headers) as response,
        ):
            stream = cls(response)
            try:
                yield stream
            finally:
                stream._reader.cancel()

    @classmethod
    @asynccontextmanager
    async def welcomed(cls, *args: Any, **more: Any) -> AsyncIterator[Self]:
        """Open a stream; it has been welcomed."""
        async with cls.open(*args, **more) as stream:
            assert stream.response.status_code == 200
            stream.connected = await stream.receive("connected")
            yield stream

    async def _read(self) -> None:
        name, data = "message", None
        try:
            async for line in self.response.aiter_lines():
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not line:
                    self._dispatch(name, data)
                    name, data = "message", None
                elif not field:
                    self.comments += 1
                elif field == "data":
                    data = value if data is None else f"{data}\n{value}"
                elif field == "id":
                    self.last_event_id = value
                elif field == "retry":
                    self.retry_ms = int(value)
                elif field == "event":
                    name = value
                self._changed.set()
        except httpx.TransportError:
            self.broken = True
        finally:
            self._over.set()
            self._changed.set()

    def _dispatch(self, name: str, data: str | None) -> None:
        if data is None:
            return
        if name == "close":
            self.close = json.loads(data)
        else:
            self.texts.append(data)
            self.unread.append(json.loads(data))

    async def receive(self, kind: str, *, timeout: float = SOON) -> Message:
        """Take the oldest unread message of a type, waiting for it if need be."""
        patience = Patience(timeout)
        try:
            while True:
                for index, message in enumerate(self.unread):
                    if message["type"] == kind:
                        return self.unread.pop(index)
                assert not self._over.is_set(), f"ended with {self.close} before {kind} came; {self.unread}"
                self._changed.clear()
                await patience.wait(self._changed)
        except TimeoutError:
            raise AssertionError(f"no {kind} within {timeout} s; unread: {self.unread}") from None

    async def ended(self, *, timeout: float = 10) -> Message | None:
        """Wait for the end and return what the node said of it."""
        await Patience(timeout).wait(self._over)
        return self.close
