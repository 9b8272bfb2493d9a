"""What nodes and routers need of Redis, whether it is one server or a cluster.

:class:`~shared.redis_link.RedisLink` is one connection to one server; :class:`~shared.redis_cluster.RedisCluster`
bundles one per hash tag. Code that compares times with a server's clock, or must know whether one part works while
another is away, uses the link ``of`` the tag in question: with one server it is always the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, Self

from shared.redis_link import RedisLink
from shared.redis_wire import Argument, Reply
from shared.server_clock import ServerClock


class Link(Protocol):
    """Commands to Redis; an async context manager. Each member is described at :class:`RedisLink`.

    Attributes:
        parts: the connections it is made of; together they are responsible for every hash tag.
        clock: of the server that holds the shared tag.
    """

    @property
    def parts(self) -> Sequence[RedisLink]: ...

    @property
    def clock(self) -> ServerClock: ...

    @property
    def timeout(self) -> float: ...

    @property
    def reconnects(self) -> int: ...

    @property
    def connected(self) -> bool: ...

    @property
    def down_for(self) -> float: ...

    @property
    def up_for(self) -> float: ...

    def of(self, tag: str) -> RedisLink:
        """Return the connection to the server that holds a hash tag."""

    def send(self, *args: Argument) -> asyncio.Future[Reply]: ...

    async def wait_connected(self, timeout: float | None = None) -> bool: ...

    def server_ms(self) -> int: ...

    def server_us(self) -> int: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...
