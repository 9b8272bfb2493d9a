"""What Locust can be as a client: WebSocket clients for gevent beside each other, and the whole of our user.

    .venv/bin/python -m loadtests.bench.clients [--connections 2000] [--rounds 30]

A server that does nothing but write the same frame to all runs on core 0, each client in turn on core 1: so many
connections, each a greenlet, and so many messages of 300 bytes to each. Figures are the client's own: memory (Pss) and
CPU per connection, CPU per message. ``locust`` is the browser of the load test with everything that it does for a
message: JSON, order, the row with its latency.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import suppress

from loadtests.stage import CLIENT_CORE, SERVER_CORE, on_core

KINDS = ("websocket-client", "wsproto", "websockets", "locust")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PAUSE = 0.1  # s between two rounds


class _Connection(asyncio.Protocol):
    """Answers an upgrade with the first frame that a node would send, and a ping of the load test with a pong."""

    def __init__(self, everybody: set[asyncio.Transport]) -> None:
        self._everybody, self._head = everybody, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._transport in self._everybody:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        headers = dict(line.split(b": ", 1) for line in self._head.split(b"\r\n")[1:] if b": " in line)
        key = next(value for name, value in headers.items() if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        protocol = "Sec-WebSocket-Protocol: bearer\r\n" if b"bearer" in self._head else ""
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}"
        welcome = {"type": "connected", "recovered": None, "cursor": "all.1-0", "heartbeat_interval_ms": 10**7}
        self._transport.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode() + _frame(welcome))
        self._everybody.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._everybody.discard(self._transport)


def _frame(message: dict[str, object]) -> bytes:
    text = json.dumps(message, separators=(",", ":")).encode()
    size = len(text)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2)) + text


async def serve() -> None:
    """Print the port; for each line on standard input write as many rounds as it says."""
    everybody: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(everybody), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    n = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        for _ in range(int(line)):
            n += 1
            sent = time.time_ns() // 1000
            frame = _frame({"type": "announcement", "sent": sent, "text": "x" * 230, "id": f"all.1-{n}"})
            for transport in list(everybody):
                transport.write(frame)
            await asyncio.sleep(_PAUSE)


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """Run a server and a client of this kind; the client drives the server through our hands."""
    with on_core(SERVER_CORE):
        server = _start("loadtests.bench.clients", "--serve")
    assert server.stdout
    assert server.stdin
    port = server.stdout.readline().strip()
    with on_core(CLIENT_CORE):
        client = _start("loadtests.bench.gevent_client", kind, port, str(options.connections), str(options.rounds))
    try:
        assert client.stdout
        assert client.stdout.readline().strip() == "ready", f"{kind} could not connect"
        server.stdin.write(f"{options.rounds}\n")
        server.stdin.flush()
        figures: dict[str, float] = json.loads(client.stdout.readline())
        return figures
    finally:
        for process in (client, server):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _start(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    print(f"{options.connections} connections, load average {os.getloadavg()[0]:.1f}\n")
    print("| client | KiB per connection | CPU ms per connect | CPU µs per message | messages/s of a core |")
    print("|---" * 5 + "|")
    for kind in KINDS:
        figures = measure(kind, options)
        memory, connect, message = (figures[name] for name in ("memory", "connect", "message"))
        print(f"| {kind} | {memory:.1f} | {connect:.2f} | {message:.1f} | {1e6 / message:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
