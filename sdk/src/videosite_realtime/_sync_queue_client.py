"""The synchronous twin of ``_queue_client``, where the reasons are."""

from __future__ import annotations

import copy
import random
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, RedisError
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from videosite_realtime._queue_access import HostAndPort, QueueAccess
from videosite_realtime._queue_client import CLIENT_NAME
from videosite_realtime._queue_slots import QUESTION, master_of, nobody_knows
from videosite_realtime.retry import RetryPolicy


class SyncQueueClient(Protocol):
    """What the queue needs of a client."""

    def execute_command(self, *words: str | int) -> Any: ...
    def close(self) -> None: ...


def new_client(access: QueueAccess, retry: RetryPolicy) -> SyncQueueClient:
    """Return a client ; it connects when it is used."""
    patience: dict[str, Any] = {
        "socket_timeout": retry.attempt_timeout,
        "socket_connect_timeout": retry.connect_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if access.asked:
        return _MasterClient(access, patience)
    return redis.Redis.from_url(access.url, client_name=CLIENT_NAME, **patience)


class _Sentinels(Sentinel):
    def discover_master(self, service_name: str) -> Any:
        asked = _copy(self)
        return super(_Sentinels, asked).discover_master(service_name)  # type: ignore[no-untyped-call]


class _Servers(Sentinel):
    def discover_master(self, service_name: str) -> HostAndPort:
        problems: dict[HostAndPort, RedisError | OSError] = {}
        for server in random.sample(self.sentinels, len(self.sentinels)):
            where = _where(server)
            try:
                slots = server.execute_command(*QUESTION)  # type: ignore[no-untyped-call]
                return master_of(service_name, slots, where)
            except (RedisError, OSError) as exc:
                problems[where] = exc
        raise nobody_knows(problems)


class _Leaves:
    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]
        except AskError:
            self.disconnect()  # type: ignore[attr-defined]
            raise


class _Connection(_Leaves, SentinelManagedConnection):
    pass


class _SecureConnection(_Leaves, SentinelManagedSSLConnection):
    pass


class _MasterClient:
    def __init__(self, access: QueueAccess, patience: dict[str, Any]) -> None:
        kind, name = (_Sentinels, access.sentinels.master) if access.sentinels else (_Servers, access.key)
        options = {**patience, **access.options}
        self._asked = kind(access.asked, sentinel_kwargs={**patience, **access.options_of_asked})
        self._master: redis.Redis = self._asked.master_for(  # type: ignore[no-untyped-call]
            name,
            connection_class=_SecureConnection if options["ssl"] else _Connection,
            client_name=CLIENT_NAME,
            **options,
        )

    def execute_command(self, *words: str | int) -> Any:
        return self._master.execute_command(*words)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        try:
            self._master.close()
        finally:
            self._asked.close()


def _copy(sentinels: _Sentinels) -> _Sentinels:
    copied = copy.copy(sentinels)
    copied.sentinels = list(sentinels.sentinels)
    return copied


def _where(server: redis.Redis) -> HostAndPort:
    options = server.connection_pool.connection_kwargs
    return options["host"], options["port"]
