"""How a connection leaves uvicorn after its handshake.

uvicorn parses the upgrade, or the request for an event stream; then whoever answers it takes the transport over: it
becomes the transport of a :class:`~node.session.Session`, and uvicorn's protocol object, its queue, its parser and
its task are garbage (31 KiB per connection become 5). uvicorn's minor version is pinned, and
``tests/node/test_wire_contract.py`` fails when the names used here move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.http11 import Request

from node.session import Session
from shared.asgi import Scope
from shared.http_protocol import DeadlineProtocol

EXTENSION: Final = "videosite.take_over"
LINE_MAX: Final = 32 * 1024  # bytes of a request's first line, and of a header
S = TypeVar("S", bound=Session)
MakeSession = Callable[[asyncio.Transport, int], S]
TakeOver = Callable[[MakeSession[Session]], Session]


class _Detached:
    """Stands where the transport was: what uvicorn still does to it reaches nobody."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return True


class UpgradeProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol up to the upgrade, given to uvicorn as its ``ws`` option."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            # The library has its answer ready (414, 431) or none (a body), but uvicorn does not ask for it: the client
            # would wait for ever, and its socket be kept and counted by nobody.
            self.transport.write(b"".join(self.conn.data_to_send()) or _bad_request(self.conn.handshake_exc))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        _to_origin_form(event)
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)  # none: the upgrade was refused
        if scope is not None:
            scope["extensions"][EXTENSION] = self._take_over

    def _take_over(self, make_session: MakeSession[S]) -> S:
        transport = self.transport
        transport.pause_reading()
        session = _become(transport, make_session)
        self.connections.discard(self)
        self.transport = _Detached()  # type: ignore[assignment]
        return session


def _bad_request(exc: Exception) -> bytes:
    said = f"Failed to open a WebSocket connection: {exc.__cause__ or exc}.\n".encode()
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)


def _to_origin_form(request: Request) -> None:
    """Put ``http://host/path`` as the target, which every server has to take, into ``/path`` and ``Host``.

    RFC 9112, section 3.2.2: the target's host counts, whatever ``Host`` says.
    """
    if request.path.startswith("/"):
        return
    authority, slash, path = request.path.partition("://")[2].partition("/")
    if "host" in request.headers:
        del request.headers["host"]
    request.headers["host"] = authority  # in lower case, as ASGI has them
    request.path = slash + path


class StreamProtocol(DeadlineProtocol):
    """Our HTTP protocol, with a way out for answers that do not end; given to uvicorn as its ``http`` option."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None:
            scope: Any = self.scope
            scope["extensions"] = {EXTENSION: StreamExit(self, self.cycle)}

    def hand_over(self, make_session: MakeSession[S]) -> S:
        transport = self.transport
        session = _become(transport, make_session)
        self.connections.discard(self)
        self._stop_waiting()
        self.flow.resume_writing()  # of its buffer the transport tells the session from here on
        transport.resume_reading()  # or nobody would see the client go
        self.transport = _Detached()  # type: ignore[assignment]
        return session


class StreamExit:
    """The way of one HTTP request out of uvicorn: first its transport, and once the answer has begun, all of it."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: StreamProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol, self._cycle = protocol, cycle

    def take_over(self, make_session: MakeSession[S]) -> S:
        """Make the transport a session's. The answer's head still goes through ASGI, or a whole answer that ends it."""
        self._cycle.keep_alive = False
        return self._protocol.hand_over(make_session)

    def let_go(self) -> None:
        """Keep uvicorn from writing: whatever is sent through ASGI from now on reaches nobody."""
        self._cycle.disconnected = True
        self._cycle.transport = _Detached()  # type: ignore[assignment]


def _become(transport: asyncio.Transport, make_session: MakeSession[S]) -> S:
    # Anything in the buffer counts as slow: the kernel's own buffer holds megabytes before that.
    transport.set_write_buffer_limits(high=0)
    session = make_session(transport, _descriptor(transport))
    transport.set_protocol(cast(asyncio.BaseProtocol, session))  # it has the methods, at no base's cost
    return session


def allow_long_lines() -> None:
    """Let first lines be longer than the library's 8 KiB, so that a ``since`` of any sensible size is judged by us.

    A browser cannot see a refusal before the upgrade, and would come back with the same line for ever. The library
    reads its own setting, ``WEBSOCKETS_MAX_LINE_LENGTH``, when it is imported, which is before we could set it.
    """
    http11.MAX_LINE_LENGTH = LINE_MAX


def _descriptor(transport: asyncio.Transport) -> int:
    """Return the socket's descriptor, or -1 where bytes may not bypass the transport (TLS)."""
    if transport.get_extra_info("sslcontext") is not None:
        return -1
    sock = transport.get_extra_info("socket")
    return int(sock.fileno()) if sock is not None else -1


def take_over(scope: Scope, make_session: MakeSession[Session]) -> Session:
    """Make an accepted WebSocket a session. Its client is not read until the session is welcomed or closed.

    Args:
        make_session: called with the transport and its descriptor (-1: write through the transport).
    """
    detach: TakeOver = scope["extensions"][EXTENSION]
    return detach(make_session)


def stream_exit(scope: Scope) -> StreamExit:
    """Return the way out for the request of an event stream."""
    way_out: StreamExit = scope["extensions"][EXTENSION]
    return way_out
