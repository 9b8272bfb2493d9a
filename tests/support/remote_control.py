"""A cluster that another program's tests command: `python -m tests.support.remote_control [--inbox]`.

Each line of standard input is a command as a JSON array, each line of standard output its answer, in order:
``{"value": …}`` or ``{"error": "…"}``. The first line says where everything is. It ends with its standard input.
With ``--inbox`` it keeps an inbox, and little history. The nodes share one port, as behind a load balancer: whoever
comes back after one died finds another at the same place.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.cluster import Cluster, Node, Service
from tests.support.collector import Collector
from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import RedisServer

_NODES = 2


class RemoteControl:
    """Does what a line says."""

    def __init__(self, cluster: Cluster, collector: Collector, other_origin: str) -> None:
        self._cluster, self._collector, self._other_origin = cluster, collector, other_origin
        self._services = {service.name: service for service in cluster.services}
        self._commands: dict[str, Callable[..., Awaitable[Any]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "start": self._start,
            "restart redis": cluster.redis.restart,
            "holders": self._holders,
            "token": self._token,
            "spans": self._spans,
        }

    @property
    def places(self) -> dict[str, Any]:
        cluster = self._cluster
        return {
            "url": cluster.node.url,
            "router_url": cluster.router.url,
            "api_key": cluster.api_key,
            "other_origin": self._other_origin,
        }

    async def obey(self, line: str) -> dict[str, Any]:
        try:
            command, *arguments = json.loads(line)
            return {"value": await self._commands[command](*arguments)}
        except Exception as exc:  # told to whoever commands, whose test then fails
            return {"error": f"{type(exc).__name__}: {exc}"}

    async def _kill(self, name: str) -> None:
        await self._named(name).kill()

    async def _stop(self, name: str) -> int:
        return await self._named(name).terminate()

    async def _start(self, name: str) -> None:
        await self._named(name).start()

    async def _holders(self) -> list[str]:
        """Name the nodes that hold administrators, by their own account: the cluster's is a moment older."""
        return [node.name for node in self._cluster.nodes if node.running and await _admins(node) > 0]

    async def _token(self, claims: dict[str, Any]) -> str:
        return self._cluster.tokens.mint(**claims)

    async def _spans(self, trace_id: str) -> list[str]:
        """Name the spans of a trace that have come so far."""
        return [span.name for span in self._collector.trace(trace_id)]

    def _named(self, name: str) -> Service:
        return self._services[name]


async def _admins(node: Node) -> float:
    text = (await node.health("/metrics")).text
    (value,) = re.findall(r'^vsrt_node_connections\{kind="admin"\} (\S+)$', text, re.MULTILINE)
    return float(value)


def _inbox_in(directory: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{directory}/inbox.db", "HISTORY_LENGTH_SHARED": "10"}


@asynccontextmanager
async def running(*, inbox: bool) -> AsyncIterator[RemoteControl]:
    with tempfile.TemporaryDirectory(prefix="cluster-") as scratch:
        redis = RedisServer(Path(scratch) / "redis", appendfsync="always")
        await redis.start()
        # Only what a test samples itself is traced.
        collector = Collector()
        cluster = Cluster(redis, Path(scratch), **collector.env, OTEL_TRACES_SAMPLER="parentbased_always_off")
        try:
            # Where nobody listens yet: for an app that is not served by the nodes.
            other_origin = f"http://{LOOPBACK}:{free_port()}"
            await cluster.start(
                nodes=_NODES,
                NODE_PORT=str(free_port()),
                NODE_REUSE_PORT="true",
                BACKEND_CORS_ORIGINS=other_origin,
                **(_inbox_in(Path(scratch)) if inbox else {}),
            )
            with collector.running():
                yield RemoteControl(cluster, collector, other_origin)
        finally:
            try:
                await cluster.close()
            finally:
                await redis.end()


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with running(inbox="--inbox" in sys.argv[1:]) as control:
        print(json.dumps({"value": control.places}), flush=True)
        async for line in lines:
            print(json.dumps(await control.obey(line.decode())), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
