"""Stands between a node and its clients, and does to single messages what a node must never do.

Byte for byte until the upgrade has been answered; from then on it reads the frames that the node sends and decides
about each that is an event.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tests.support.ports import LOOPBACK
from tests.support.redis_proxy import Fate

_ID = re.compile(rb'"id":"([^"]+)\.\d+-\d+"}$')
Judge = Callable[[int, bytes], Fate]  # told which WebSocket, from 0, and the event


class FrameProxy:
    """Attributes:
    judge: decides the fate of an event.
    met: how many events met which fate.
    """

    def __init__(self, upstream: int, judge: Judge) -> None:
        self._upstream, self.judge = upstream, judge
        self.met: Counter[Fate] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._upgrades = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FrameProxy]:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        try:
            yield self
        finally:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            await self._server.wait_closed()
            while self._writers:  # each handler ends when its connections have
                await asyncio.sleep(0)

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection(LOOPBACK, self._upstream)
        self._writers |= {near, far}
        up = asyncio.create_task(_copy(near_reader, far))
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await far_reader.readuntil(b"\r\n\r\n")
            near.write(head)
            if head.startswith(b"HTTP/1.1 101 "):
                number, self._upgrades = self._upgrades, self._upgrades + 1
                await self._pass_frames(number, far_reader, near)
            else:
                await _copy(far_reader, near)
        near.close()
        far.close()
        await up
        self._writers -= {near, far}

    async def _pass_frames(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held, of = b"", b""  # a frame, and the stream after whose next event it is sent
        while True:
            frame, payload = await _frame(reader)
            stream = _stream(payload)
            fate = self.judge(number, payload) if stream else Fate.PASS
            if stream:
                self.met[fate] += 1
            if fate is Fate.SWAP:
                held, of = frame, stream
            elif fate is not Fate.LOSE:
                writer.write(frame * (2 if fate is Fate.DOUBLE else 1))
                if held and stream == of:
                    writer.write(held)
                    held = b""
                await writer.drain()


def _stream(payload: bytes) -> bytes:
    """Return the stream of an event; empty for anything else."""
    found = _ID.search(payload)
    return found[1] if found else b""


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(2)
    size = head[1]
    if size >= 126:
        length = await reader.readexactly(2 if size == 126 else 8)
        head, size = head + length, int.from_bytes(length)
    payload = await reader.readexactly(size)
    return head + payload, payload


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
