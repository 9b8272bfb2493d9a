"""What appends to Redis: one server, the master that Sentinels name, or in a Redis Cluster that of the queue's slot.

None of them retries by itself: that is the delivery's part, within its deadline. With the latter two every connection
asks where to go before it is made. A server that is not the master any more says so instead of appending, and then
loses the connection.

The queue lies in one slot, so a Redis Cluster is asked as Sentinels are, and redis-py's pool for those does the rest.
Its client for clusters was tried: of 20 commands that came at once to a healthy cluster, version 8.1 lost one to three
to an ``AttributeError``; it stumbles over a slot that moves to a server it does not know; and it asks for ``COMMAND``.
"""

from __future__ import annotations

import copy
import random
from typing import Any, Protocol

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import AskError, RedisError

from videosite_realtime._queue_access import HostAndPort, QueueAccess
from videosite_realtime._queue_slots import QUESTION, master_of, nobody_knows
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
    if access.asked:
        return _MasterClient(access, patience)
    return redis.Redis.from_url(access.url, client_name=CLIENT_NAME, **patience)


class _Sentinels(Sentinel):
    async def discover_master(self, service_name: str) -> Any:
        # With a list of its own: redis-py puts the one that knew first, and of two tasks that do so at once the second
        # would write another Sentinel over, for good.
        asked = _copy(self)
        return await super(_Sentinels, asked).discover_master(service_name)


class _Servers(Sentinel):
    """Asks servers of a Redis Cluster what Sentinels would be asked: where the master is."""

    async def discover_master(self, service_name: str) -> HostAndPort:
        problems: dict[HostAndPort, RedisError | OSError] = {}
        # In any order: one may be cut off from the others, and know no better.
        for server in random.sample(self.sentinels, len(self.sentinels)):
            where = _where(server)
            try:
                slots = await server.execute_command(*QUESTION)  # type: ignore[no-untyped-call]
                return master_of(service_name, slots, where)
            except (RedisError, OSError) as exc:
                problems[where] = exc
        raise nobody_knows(problems)


class _Pool(SentinelConnectionPool):
    async def get_master_address(self) -> Any:
        # redis-py's also closes the connections that are idle, one of which a task may have taken a moment ago. They
        # will be told.
        self.master_address = await self.sentinel_manager.discover_master(self.service_name)
        return self.master_address


class _Leaves:
    """A connection that is given up when its server sends it elsewhere: ``MOVED``; or ``ASK``, while the slot moves."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except AskError:
            await self.disconnect()  # type: ignore[attr-defined]
            raise


class _Connection(_Leaves, SentinelManagedConnection):
    pass


class _SecureConnection(_Leaves, SentinelManagedSSLConnection):
    pass


class _MasterClient:
    """Appends to whoever is the master now, in the word of those who are asked."""

    def __init__(self, access: QueueAccess, patience: dict[str, Any]) -> None:
        kind, name = (_Sentinels, access.sentinels.master) if access.sentinels else (_Servers, access.key)
        options = {**patience, **access.options}
        self._asked = kind(access.asked, sentinel_kwargs={**patience, **access.options_of_asked})
        self._master: redis.Redis = self._asked.master_for(
            name,
            connection_pool_class=_Pool,
            connection_class=_SecureConnection if options["ssl"] else _Connection,
            client_name=CLIENT_NAME,
            **options,
        )

    async def execute_command(self, *words: str | int) -> Any:
        return await self._master.execute_command(*words)  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        try:
            await self._master.aclose()
        finally:
            await self._asked.aclose()


def _copy(sentinels: _Sentinels) -> _Sentinels:
    copied = copy.copy(sentinels)
    copied.sentinels = list(sentinels.sentinels)
    return copied


def _where(server: redis.Redis) -> HostAndPort:
    options = server.connection_pool.connection_kwargs
    return options["host"], options["port"]
