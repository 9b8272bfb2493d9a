"""Listening, as nodes and routers do."""

from __future__ import annotations

import asyncio
import socket

from shared.serving import UNSENT_MAX, listen


async def test_the_kernel_takes_little_for_a_client_that_reads_nothing() -> None:
    loop = asyncio.get_running_loop()
    with listen("127.0.0.1", 0) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, listener.getsockname())
        server, _ = await loop.sock_accept(listener)
        with server:
            taken = idle = 0
            while idle < 10:  # what is on its way leaves room for a little more
                try:
                    taken, idle = taken + server.send(b"x" * 1000), 0
                except BlockingIOError:
                    idle += 1
                    await asyncio.sleep(0.01)
                assert taken < 8 * UNSENT_MAX
            assert taken >= UNSENT_MAX / 2, "too little for a burst to somebody who reads"
