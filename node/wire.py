"""How a connection leaves uvicorn after its handshake.

uvicorn parses the request for a WebSocket, or for an event stream; then whoever answers it takes the transport over: it
becomes the transport of a :class:`~node.session.Session`, and uvicorn's protocol object, its parser and its task are
garbage (31 KiB per connection become 5). uvicorn's own WebSocket protocol is left out: it writes the head out again,
has another library parse it anew, and builds what a connection needs that goes on living in it, which together made up
a third of a handshake's cost.

uvicorn's minor version is pinned, and ``tests/node/test_wire_contract.py`` fails when the names used here move.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from node.opening import Fault, acceptance, fault_of, rejection
from node.session import Session
from shared.asgi import ASGIApp, Event, Scope
from shared.headers import by_name
from shared.http_protocol import DeadlineProtocol

EXTENSION: Final = "videosite.take_over"
_SPACE: Final = b" \t"  # around a header's value, and not part of it
S = TypeVar("S", bound=Session)
MakeSession = Callable[[asyncio.Transport, int], S]
TakeOver = Callable[[MakeSession[Session]], Session]

logger = logging.getLogger(__name__)


class _Detached:
    """Stands where the transport was: what is still done to it reaches nobody."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return True


class UpgradeProtocol(asyncio.Protocol):
    """A request for a WebSocket, from its head to the application's answer.

    It speaks as much of ASGI as that takes: ``websocket.connect``, and ``accept`` or ``close``. Frames are the
    session's business; until there is one, the client is not read.
    """

    def __init__(self, transport: asyncio.Transport, server: ServerState, key: bytes) -> None:
        self._transport, self._server, self._key = transport, server, key
        self._answered = False
        transport.pause_reading()
        transport.set_protocol(self)
        server.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes; it calls shutdown()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        scope["extensions"] = {EXTENSION: self._take_over}
        try:
            await app(scope, self._receive, self._send)
        except ClientDisconnected:
            pass
        except Exception:
            logger.exception("a handshake failed")
        finally:
            self._end(HTTPStatus.INTERNAL_SERVER_ERROR)

    def shutdown(self) -> None:
        """End it; called by uvicorn when it stops."""
        self._end(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)

    async def _receive(self) -> Event:
        return {"type": "websocket.connect"}

    async def _send(self, event: Event) -> None:
        if self._transport.is_closing():
            raise ClientDisconnected
        if event["type"] == "websocket.accept":
            self._answer(acceptance(self._key, event.get("subprotocol"), self._server.default_headers))
        else:
            self._end(HTTPStatus.FORBIDDEN, event.get("reason", ""))

    def _take_over(self, make_session: MakeSession[S]) -> S:
        session = _become(self._transport, make_session)
        self._server.connections.discard(self)
        self._transport = _Detached()  # type: ignore[assignment]
        return session

    def _answer(self, answer: bytes) -> None:
        self._answered = True
        self._transport.write(answer)

    def _end(self, status: HTTPStatus, reason: str = "") -> None:
        """Close the connection, unless it was taken over; if it has no answer yet, with this one."""
        if not self._answered and not self._transport.is_closing():  # uvloop fails at a write to what is gone
            self._answer(rejection(Fault(status, reason), self._server.default_headers))
        self._transport.close()


def _websocket_scope(http: Mapping[str, Any], target: bytes) -> Scope:
    """Return the ASGI scope of a request for a WebSocket, from that which uvicorn has begun for a request by HTTP."""
    headers = [(name, value.strip(_SPACE)) for name, value in http["headers"]]
    if not target.startswith(b"/"):
        # `http://host/path`, which every server has to take: its host counts, whatever `Host` says (RFC 9112, 3.2.2).
        authority, slash, path = target.partition(b"://")[2].partition(b"/")
        headers = [field for field in headers if field[0] != b"host"] + [(b"host", authority)]
        target = slash + path
    path, _, query = target.partition(b"?")
    root = http["root_path"]
    return {
        **http,
        "type": "websocket",
        "scheme": "wss" if http["scheme"] == "https" else "ws",
        "path": root + unquote(path.decode("ascii")),
        "raw_path": root.encode("ascii") + path,
        "query_string": query,
        "headers": headers,
    }


class NodeProtocol(DeadlineProtocol):
    """Our HTTP protocol with two ways out, for WebSockets and for event streams; uvicorn's ``http`` option."""

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # It came behind a call that is still running: both would answer at once. The client may ask again.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        scope = _websocket_scope(self.scope, self.url)
        said = by_name(scope["headers"])
        method, version = scope["method"], scope["http_version"]
        fault = fault_of(method, version, self.url, scope["headers"], said, followed=self._followed)
        if fault is not None:
            self.transport.write(rejection(fault, self.server_state.default_headers))
            self.transport.close()
            return
        protocols = said.get(b"sec-websocket-protocol", b"").decode("latin-1")
        scope["subprotocols"] = [name.strip() for name in protocols.split(",")] if protocols else []
        self._leave()
        upgrade = UpgradeProtocol(self.transport, self.server_state, said[b"sec-websocket-key"])
        task = self.loop.create_task(upgrade.run(self.app, scope))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:  # not one that asks for another protocol
            scope: Any = self.scope
            # Both hold the scope, and live as long as the application runs: held from there as well, every connection
            # and every request would wait for the garbage collector.
            scope["extensions"] = {EXTENSION: StreamExit(weakref.proxy(self), weakref.proxy(self.cycle))}

    def _leave(self) -> None:
        self.connections.discard(self)
        del self.parser  # it knows this object: together they would wait for the garbage collector

    def hand_over(self, make_session: MakeSession[S]) -> S:
        transport = self.transport
        session = _become(transport, make_session)
        self._leave()
        self._stop_waiting()
        self.flow.resume_writing()  # of its buffer the transport tells the session from here on
        transport.resume_reading()  # or nobody would see the client go
        self.transport = _Detached()  # type: ignore[assignment]
        return session


class StreamExit:
    """The way of one HTTP request out of uvicorn: first its transport, and once the answer has begun, all of it."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: NodeProtocol, cycle: RequestResponseCycle) -> None:
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
