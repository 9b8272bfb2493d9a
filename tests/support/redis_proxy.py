"""Stands between a node and Redis, and does to the traffic what networks and servers do at their worst.

A node has two connections: one for commands, one to listen. Each says its name when it connects, so that the proxy
knows which is which. It reads what is published (RESP3 pushes ``>3 message <channel> <payload>``) on the one that
listens and lets the test decide the fate of each; everything else passes byte for byte. And it can swallow: the
connection stays open, and nothing gets through any more, in neither direction.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from typing import Final

from tests.support.ports import LOOPBACK

COMMANDS: Final = "vsrt-node"
EAR: Final = "vsrt-bus"


class Fate(Enum):
    """What becomes of a publish."""

    PASS = "passes"
    LOSE = "is lost"
    DOUBLE = "comes twice"
    SWAP = "comes after the next one"


Judge = Callable[[bytes], Fate]


def everything_passes(_: bytes) -> Fate:
    return Fate.PASS


class RedisProxy:
    """A proxy of one node's own.

    Attributes:
        judge: told the payload of every publish that carries messages; decides its fate.
        met: how many publishes met which fate.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._links: set[_Link] = set()
        self._swallowed_names: set[str] = set()
        self._server: asyncio.Server | None = None
        self.judge: Judge = everything_passes
        self.met: Counter[Fate] = Counter()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/0"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RedisProxy]:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        try:
            yield self
        finally:
            self._server.close()
            for link in list(self._links):
                link.close()
            await self._server.wait_closed()

    # --- what a test does to it

    @contextmanager
    def swallowing(self, name: str) -> Iterator[None]:
        """Let nothing through on the connections of a name, nor on new ones; those stay broken afterwards."""
        self.swallow(name)
        self._swallowed_names.add(name)
        try:
            yield
        finally:
            self._swallowed_names.discard(name)

    def swallow(self, name: str) -> None:
        """Let nothing more through on the connections of a name that are open now."""
        for link in self._links:
            if link.name == name:
                link.swallowed = True

    def deafen(self) -> None:
        """Let no push through on the ears that are open now; commands are answered, so that they look alive."""
        for link in self._links:
            link.deaf |= link.name == EAR

    def connections(self, name: str) -> int:
        """Return how many connections of a name are open and work."""
        return sum(link.name == name and not link.swallowed and not link.deaf for link in self._links)

    def swallows(self, name: str) -> bool:
        return name in self._swallowed_names

    # --- its own work

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            server, on = await asyncio.open_connection(LOOPBACK, self._upstream)
        except OSError:
            back.transport.abort()
            return
        link = _Link(self, back, on)
        self._links.add(link)
        try:
            await asyncio.gather(link.pass_on(client), link.pass_back(server))
        finally:
            self._links.discard(link)
            link.close()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: RedisProxy, back: asyncio.StreamWriter, on: asyncio.StreamWriter) -> None:
        self._proxy, self._back, self._on = proxy, back, on
        self._unread = b""
        self._held: list[bytes] = []
        self.name = ""
        self.swallowed = self.deaf = False

    def close(self) -> None:
        for end in (self._back, self._on):
            end.transport.abort()

    async def pass_on(self, client: asyncio.StreamReader) -> None:
        """Carry what the node says to Redis."""
        with suppress(OSError):
            while data := await client.read(65536):
                if not self.name:
                    self.name = next((name for name in (COMMANDS, EAR) if name.encode() in data), "")
                    self.swallowed |= self._proxy.swallows(self.name)
                if not self.swallowed:
                    self._on.write(data)
        self.close()

    async def pass_back(self, server: asyncio.StreamReader) -> None:
        """Carry what Redis says to the node, whole replies at a time."""
        with suppress(OSError):
            while data := await server.read(65536):
                self._unread += data
                while (end := end_of_reply(self._unread)) is not None:
                    reply, self._unread = self._unread[:end], self._unread[end:]
                    for part in self._passing(reply):
                        self._back.write(part)
        self.close()

    def _passing(self, reply: bytes) -> list[bytes]:
        if self.swallowed:
            return []
        if not reply.startswith(b">"):
            return [reply]
        if self.deaf:
            return []
        payload = published(reply)
        if payload is None or payload.startswith(b"1 p "):  # a confirmation, or the node's own probe
            return [reply]
        return self._meet(self._proxy.judge(payload), reply)

    def _meet(self, fate: Fate, reply: bytes) -> list[bytes]:
        self._proxy.met[fate] += 1
        if fate is Fate.LOSE:
            return []
        if fate is Fate.SWAP:
            self._held.append(reply)
            return []
        held, self._held = self._held, []
        return [reply] * (2 if fate is Fate.DOUBLE else 1) + held


_LINES: Final = b"+-:,#_("
_STRINGS: Final = b"$=!"
_AGGREGATES: Final = b"*~>%"


def end_of_reply(data: bytes, start: int = 0) -> int | None:
    """Return where a reply ends that begins at ``start``; None if it is not all there yet."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, end = data[start : start + 1], line_end + 2
    if kind in _LINES:
        return end
    size = int(data[start + 1 : line_end])
    if kind in _STRINGS:
        end += size + 2 if size >= 0 else 0
        return end if end <= len(data) else None
    assert kind in _AGGREGATES, f"a kind of reply that nobody has asked for: {kind!r}"
    for _ in range(max(size, 0) * (2 if kind == b"%" else 1)):
        found = end_of_reply(data, end)
        if found is None:
            return None
        end = found
    return end


def published(push: bytes) -> bytes | None:
    """Return the payload of a push that brings a published message; None for any other."""
    head, kind, rest = push.partition(b"$7\r\nmessage\r\n")
    if head != b">3\r\n" or not kind:
        return None
    channel_end = end_of_reply(rest)
    assert channel_end is not None
    return rest[channel_end:-2].partition(b"\r\n")[2]
