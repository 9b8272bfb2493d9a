"""The load test's WebSocket, against a server that ends it."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtests.swarm.socket_client import Closed, Socket


async def test_who_is_told_the_end_with_the_last_text_can_say_nothing_more():
    """A node that leaves sends both at once, and a busy client has a ping to send before it reads on."""

    async def leave(connection: ServerConnection) -> None:
        connection.protocol.send_text(b"reconnect")
        connection.protocol.send_close(1012, "this node leaves")
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
        await connection.wait_closed()

    def talk(port: int) -> None:
        client = Socket.open(f"ws://127.0.0.1:{port}", token="t", since="", timeout=20, verify=True)
        try:
            assert client.receive(20) == ["reconnect"]
            with pytest.raises(Closed) as closed:
                client.send("ping")
            assert closed.value.code == 1012
        finally:
            client.cut()

    async with serve(leave, "127.0.0.1", 0, subprotocols=["bearer"]) as server:  # type: ignore[list-item]
        await asyncio.to_thread(talk, server.sockets[0].getsockname()[1])
