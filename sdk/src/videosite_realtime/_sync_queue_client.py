"""The synchronous twin of ``_queue_client``, where the reasons are."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterError
from redis.retry import Retry
from redis.sentinel import Sentinel

from videosite_realtime._queue_access import HostAndPort, QueueAccess, Sentinels
from videosite_realtime._queue_client import CLIENT_NAME
from videosite_realtime.retry import RetryPolicy


class SyncQueueClient(Protocol):
    """What the queue needs of a client."""

    def execute_command(self, *words: str | int) -> Any: ...
    def close(self) -> None: ...


def new_client(access: QueueAccess, retry: RetryPolicy) -> SyncQueueClient:
    """Return a client. One of a Redis Cluster asks for its servers at once.

    Raises:
        RedisClusterException: they cannot be reached.
    """
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
    def discover_master(self, service_name: str) -> Any:
        asked = copy.copy(self)
        asked.sentinels = list(self.sentinels)
        return super(_Sentinel, asked).discover_master(service_name)  # type: ignore[no-untyped-call]


class _MasterClient:
    def __init__(self, sentinels: Sentinels, options: dict[str, Any], patience: dict[str, Any]) -> None:
        theirs = {name: value for name, value in options.items() if name.startswith("ssl")}
        theirs |= {**patience, "password": sentinels.password}
        self._sentinel = _Sentinel(sentinels.hosts, sentinel_kwargs=theirs, client_name=CLIENT_NAME, **options)  # type: ignore[no-untyped-call]
        self._master: redis.Redis = self._sentinel.master_for(sentinels.master)  # type: ignore[no-untyped-call]

    def execute_command(self, *words: str | int) -> Any:
        return self._master.execute_command(*words)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        try:
            self._master.close()
        finally:
            self._sentinel.close()


class _Cluster(RedisCluster):
    def get_node(self, *args: Any, **kwargs: Any) -> Any:
        node = super().get_node(*args, **kwargs)  # type: ignore[no-untyped-call]
        if node is None:
            raise ClusterError("the queue is moving to a server that is not known yet")
        return node


class _ClusterClient:
    def __init__(self, nodes: tuple[HostAndPort, ...], options: dict[str, Any]) -> None:
        self._cluster = _Cluster(
            startup_nodes=[ClusterNode(host, port) for host, port in nodes],  # type: ignore[no-untyped-call]
            dynamic_startup_nodes=False,
            require_full_coverage=False,
            client_name=CLIENT_NAME,
            **options,
        )

    def execute_command(self, *words: str | int) -> Any:
        return self._cluster.execute_command(*words)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._cluster.close()
        for node in self._cluster.nodes_manager.startup_nodes.values():  # which it leaves open
            if node.redis_connection is not None:
                node.redis_connection.close()
