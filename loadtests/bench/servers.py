"""The servers that are measured: ours, and peers. All parts of one run on the servers' core."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from loadtests.bench.crowd import Dialect
from loadtests.bench.ours import MESSAGE, PlainDialect, Requests, minted, post, upgrade
from loadtests.stage import CLIENT_CORE, SERVER_CORE, on_core, stage
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process
from tests.support.redis_server import RedisServer
from tests.support.tokens import Tokens
from tests.support.waiting import until

_NO_PINGS = 3600  # s: as with ours, whose clients are not pinged either


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        pids: of its processes, by their part in it.
        node: whose memory a connection costs.
        broadcast, personal: the request that publishes a message to all, to one user.
        batch: the request that publishes one to each of these users; None where there is no such thing.
    """

    name: str
    port: int
    publish_port: int
    dialect: Dialect
    pids: dict[str, int]
    node: str
    broadcast: bytes
    personal: Callable[[int], bytes]
    batch: Callable[[list[int]], bytes] | None = None


class SocketIoDialect:
    """Engine.IO 4 with Socket.IO 5 on it: ``0{…}`` is answered with ``40{auth}``, and ``40{…}`` lets in."""

    def __init__(self, token: Callable[[int], str]) -> None:
        # Frames do not say whose connection they are on: everybody is the same user, or somebody by turns.
        self._token, self._turn = token, 0

    def upgrade(self, number: int) -> bytes:
        return upgrade("/socket.io/?EIO=4&transport=websocket")

    def hello(self, payload: bytes) -> bytes | None:
        if payload.startswith(b"40"):
            return None
        if not payload.startswith(b"0"):
            return b""
        self._turn += 1
        return b"40" + json.dumps({"token": self._token(self._turn - 1)}).encode()


@asynccontextmanager
async def ours(**env: str) -> AsyncIterator[Server]:
    # Heartbeats off: the bench's clients send none but when that is what is measured.
    async with stage(
        persistent=False, **{"HEARTBEAT_TIMEOUT": "3600", "COMMANDS_PER_SECOND": "1000", **env}
    ) as cluster:
        ask = Requests(cluster)
        yield Server(
            "this project",
            cluster.node.port,
            cluster.router.port,
            ask.dialect,
            {"node": cluster.node.pid, "router": cluster.router.pid, "redis": cluster.redis.pid},
            "node",
            ask.broadcast(),
            ask.personal,
            ask.batch,
        )


@asynccontextmanager
async def peer(name: str, module: str, dialect: Callable[[Callable[[int], str]], Dialect]) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        scratch, port, tokens = Path(directory), free_port(), Tokens("a-secret-for-the-peers-of-the-bench-only")
        redis = RedisServer(scratch / "redis", persistent=False)
        uvicorn = [sys.executable, "-m", "uvicorn", f"loadtests.bench.peers.{module}:app"]
        options = {"host": LOOPBACK, "port": str(port), "log-level": "warning", "ws-per-message-deflate": "false"}
        options["ws-ping-interval"] = str(_NO_PINGS)
        command = uvicorn + [word for option, value in options.items() for word in (f"--{option}", value)]
        env = {"REDIS_URL": redis.url, "JWT_SECRET": tokens.secret}
        server = Process(module, command, env, scratch / "server.log")
        try:
            with on_core(SERVER_CORE):
                await redis.start()
                server.launch()
                await until(lambda: _answers(server, port), timeout=20)
            with on_core(CLIENT_CORE):
                yield Server(
                    name,
                    port,
                    port,
                    dialect(minted(tokens)),
                    {"server": server.pid, "redis": redis.pid},
                    "server",
                    post("/publish", {"message": MESSAGE}),
                    lambda user: post("/publish", {"message": MESSAGE, "user": str(user)}),
                )
        finally:
            await server.kill()  # with thousands of clients some take their time to leave
            await redis.end()


async def _answers(server: Process, port: int) -> bool:
    if not server.running:
        raise RuntimeError(f"{server.name} ended:\n{server.log_tail()}")
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"http://{LOOPBACK}:{port}/healthz")).status_code == 200
    except httpx.TransportError:
        return False


SERVERS = {
    "ours": ours,
    "naive": lambda: peer(
        "naive FastAPI", "naive", lambda token: PlainDialect(lambda n: f"/ws?token={token(n)}", first_frame=False)
    ),
    "socketio": lambda: peer("python-socketio", "socketio", SocketIoDialect),
}
