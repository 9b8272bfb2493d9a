"""A server with a node's protocol, and who asks it for a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from node.frames import text_frame
from node.session import Session
from node.wire import NodeProtocol, take_over
from shared.asgi import ASGIApp, Receive, Scope, Send
from shared.serving import Server, listen, server_config
from tests.node.fakes import Host
from tests.shared.redis_server import until

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CALL = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, scheme: str = "ws") -> AsyncIterator[tuple[Server, str]]:
    """Serve as a node does; yield the server and its address."""
    sock = listen("127.0.0.1", 0)
    server = Server(server_config(app, http=NodeProtocol))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield server, f"{scheme}://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        server.stop()
        await task
        sock.close()


async def saying(url: str, *requests: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection and send requests, each once the one before has its answer's head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2].strip("/")))
    for number, request in enumerate(requests):
        if number:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(request)
    return reader, writer


class Taker:
    """Accepts, takes the connection over, and returns; answers calls with nothing."""

    def __init__(self) -> None:
        self.host = Host()
        self.sessions: list[Session] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        self.scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})

        def make(transport: asyncio.Transport, *more: Any) -> Session:
            return Session(self.host, transport, is_admin=False)

        session = take_over(scope, make)
        self.sessions.append(session)
        session.welcome(text_frame(b"welcome"), (), [])
