"""Listening, as nodes and routers do."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shared.serving import UNSENT_MAX, listen, run


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


def test_only_what_uvloop_says_of_a_tls_connection_that_was_given_up_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    tls = "Fatal error on SSL protocol"

    async def serve() -> None:
        for message, error in ((tls, closed), (tls, ValueError()), (tls, RuntimeError()), ("another", closed)):
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    assert run(serve, "test") == 0
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == [tls, tls, "another"]
