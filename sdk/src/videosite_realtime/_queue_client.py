"""What appends to Redis: one server, the master that Sentinels name, or a Redis Cluster's server of the queue's slot.

None of them retries by itself: that is the delivery's part, within its deadline. A cluster's client goes on where it is
sent (``MOVED``, ``ASK``, ``TRYAGAIN``), for such an answer says that nothing was done.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ClusterError

from videosite_realtime._queue_access import HostAndPort, QueueAccess, Sentinels
from videosite_realtime.retry import RetryPolicy

CLIENT_NAME = "videosite-realtime-producer"


class QueueClient(Protocol):
    """What the queue needs of a client."""

    async def execute_command(self, *words: str | int) -> Any: ...
    async def aclose(self) -> None: ...


def new_client(access: QueueAccess, retry: RetryPolicy) -> QueueClient:
    """Return a client for the running loop; it connects when it is used."""
    patience: dict[str, Any] = {
        "socket_timeout": retry.attempt_timeout,
        "socket_connect_timeout": retry.connect_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if access.sentinels:
        return _MasterClient(access.sentinels, {**patience, **access.options}, patience)
    if access.cluster_nodes:
        return _ClusterClient(access.cluster_nodes, {**patience, **access.options})
    return redis.Redis.from_url(access.url, client_name=CLIENT_NAME, **patience)


class _Sentinel(Sentinel):
    async def discover_master(self, service_name: str) -> Any:
        # In a copy: redis-py puts the one that knew first, and of two tasks that do so at once one would write another
        # Sentinel over, for good.
        asked = copy.copy(self)
        asked.sentinels = list(self.sentinels)
        return await super(_Sentinel, asked).discover_master(service_name)


class _MasterClient:
    """Appends to the master: each connection asks where it is, and a server that was demoted loses its connections."""

    def __init__(self, sentinels: Sentinels, options: dict[str, Any], patience: dict[str, Any]) -> None:
        theirs = {name: value for name, value in options.items() if name.startswith("ssl")}
        theirs |= {**patience, "password": sentinels.password}
        self._sentinel = _Sentinel(sentinels.hosts, sentinel_kwargs=theirs, client_name=CLIENT_NAME, **options)  # type: ignore[no-untyped-call]
        self._master: redis.Redis = self._sentinel.master_for(sentinels.master)

    async def execute_command(self, *words: str | int) -> Any:
        return await self._master.execute_command(*words)  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        try:
            await self._master.aclose()
        finally:
            await self._sentinel.aclose()


class _Cluster(RedisCluster):
    def get_node(self, *args: Any, **kwargs: Any) -> ClusterNode:
        node = super().get_node(*args, **kwargs)
        if node is None:
            # The slot is on its way to a server that joined after we had asked; redis-py would stumble over the None.
            raise ClusterError("the queue is moving to a server that is not known yet")
        return node


class _ClusterClient:
    """Appends to the server of the queue's slot."""

    def __init__(self, nodes: tuple[HostAndPort, ...], options: dict[str, Any]) -> None:
        self._cluster = _Cluster(
            startup_nodes=[ClusterNode(host, port) for host, port in nodes],
            # Names outlive the addresses behind them: when all servers came back elsewhere, they still lead there.
            dynamic_startup_nodes=False,
            require_full_coverage=False,  # one slot is ours; what ails the others does not concern us
            client_name=CLIENT_NAME,
            **options,
        )

    async def execute_command(self, *words: str | int) -> Any:
        return await self._cluster.execute_command(*words)

    async def aclose(self) -> None:
        await self._cluster.aclose()
        # Which closes nothing after a failure, when it was about to look around anew.
        await self._cluster.nodes_manager.aclose()
        await self._cluster.nodes_manager.aclose("startup_nodes")
