"""A network that can be broken: a TCP proxy that resets, swallows, mutes, holds or delays what passes through it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from enum import StrEnum
from typing import Self

from tests.support.ports import LOOPBACK, free_port

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no FIN, no waiting


class Weather(StrEnum):
    """What becomes of bytes and connections; what a stateful middlebox, a cable and a slow line do to them.

    SWALLOW and MUTE are the cruel ones: a connection that has lost bytes stays dead when the weather clears, and
    neither end is ever told. Under MUTE only answers are lost: what was asked is done, and nobody hears of it. HOLD
    lets bytes wait: TCP would send them again.
    """

    CLEAR = "clear"
    RESET = "reset"
    SWALLOW = "swallow"
    MUTE = "mute"
    HOLD = "hold"
    DELAY = "delay"


class TcpProxy:
    """Forwards connections to a port of this host; an async context manager."""

    def __init__(self, upstream: int) -> None:
        self.upstream, self.port = upstream, free_port()
        self.weather = Weather.CLEAR
        self.delay = 0.0
        self.passed = self.swallowed = 0  # bytes
        self.pipes: set[Pipe] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Pipe(self).near, LOOPBACK, self.port, backlog=1024)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
        for pipe in list(self.pipes):
            pipe.reset()

    def become(self, weather: Weather, *, delay: float = 0.0) -> None:
        """Change the weather, for connections that exist and for those to come; ``delay`` in seconds."""
        self.weather, self.delay = weather, delay
        for pipe in list(self.pipes):
            pipe.feel()

    def pipe(self, port: int) -> Pipe:
        """Return the connection that the server knows by this port."""
        (pipe,) = (pipe for pipe in self.pipes if pipe.far.port == port)
        return pipe


class Pipe:
    """One connection through the proxy: an end towards who connected, an end towards the server."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.near, self.far = End(self), End(self)
        self.near.other, self.far.other = self.far, self.near
        self.dead = False  # has lost bytes: nothing passes any more, and no end hears of the other's
        self.muted = False  # has lost answers: no others pass, and it is dead once questions could be heard again
        proxy.pipes.add(self)

    def feel(self) -> None:
        """Take the weather as it has become."""
        if self.proxy.weather is Weather.RESET:
            self.reset()
        self.dead = self.dead or (self.muted and self.proxy.weather is not Weather.MUTE)
        for end in (self.near, self.far):
            end.rest("held", resting=self.proxy.weather is Weather.HOLD)

    def opened(self) -> None:
        """Connect to the server, unless the way there is broken."""
        self.feel()
        if self.proxy.weather is Weather.SWALLOW:
            self.dead = True
        elif self.proxy.weather is not Weather.RESET:
            self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, LOOPBACK, self.proxy.upstream)
        except OSError:
            self.reset()
        else:
            if self.near.closed:
                self.far.close()

    def reset(self) -> None:
        self.near.reset()
        self.far.reset()

    def closed(self) -> None:
        if self.near.closed and (self.far.closed or self.far.transport is None):
            self.proxy.pipes.discard(self)


class End(asyncio.Protocol):
    """One of a pipe's two sockets."""

    other: End

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self._waiting: deque[bytes] = deque()  # for the transport to be there
        self._late: deque[bytes | None] = deque()  # delayed, in order; None is the end
        self._due = 0.0
        self._resting: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        while self._waiting:
            transport.write(self._waiting.popleft())
        self._apply_rest()
        if self is self.pipe.near:
            self.pipe.opened()
        else:
            self.pipe.feel()

    @property
    def port(self) -> int | None:
        return self.transport.get_extra_info("sockname")[1] if self.transport is not None else None

    # --- what comes in

    def data_received(self, data: bytes) -> None:
        proxy, pipe = self.pipe.proxy, self.pipe
        if proxy.weather is Weather.SWALLOW:
            pipe.dead = True
        elif proxy.weather is Weather.MUTE and self is pipe.far:
            pipe.muted = True
        if pipe.dead or (pipe.muted and self is pipe.far):
            proxy.swallowed += len(data)
        else:
            proxy.passed += len(data)
            self.other.pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.pipe.proxy.weather is Weather.SWALLOW:
            self.pipe.dead = True
        if not (self.pipe.dead or self.pipe.muted):
            self.other.pass_on(None)
        self.pipe.closed()

    # --- what goes out

    def pass_on(self, data: bytes | None) -> None:
        """Send data, or the end, now or late; order is kept when the weather changes meanwhile."""
        proxy = self.pipe.proxy
        if proxy.weather is not Weather.DELAY and not self._late:
            self._write(data)
            return
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + (proxy.delay if proxy.weather is Weather.DELAY else 0))
        self._late.append(data)
        loop.call_at(self._due, self._release)

    def _release(self) -> None:
        # Timers of one moment may fire in any order: what they release is always the oldest.
        self._write(self._late.popleft())

    def _write(self, data: bytes | None) -> None:
        if self.pipe.dead:
            return
        if data is None:
            self.close()
        elif self.transport is None:
            self._waiting.append(data)
        else:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        if self.transport is None or self.closed:
            return
        sock: socket.socket = self.transport.get_extra_info("socket")
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()

    # --- how fast

    def pause_writing(self) -> None:
        self.other.rest("full", resting=True)

    def resume_writing(self) -> None:
        self.other.rest("full", resting=False)

    def rest(self, why: str, *, resting: bool) -> None:
        """Read nothing while there is a reason not to."""
        if resting:
            self._resting.add(why)
        else:
            self._resting.discard(why)
        self._apply_rest()

    def _apply_rest(self) -> None:
        if self.transport is None or self.closed or self.transport.is_closing():
            return
        if self._resting:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
