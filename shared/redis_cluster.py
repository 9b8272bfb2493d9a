"""A Redis Cluster as nodes and routers use it: one connection per hash tag, each to whoever holds the tag's slot now.

A connection to the server of one tag is supervised like any other, and finds its server anew whenever it has to be
made anew. So a tag whose server is away stops nothing that concerns the other tags alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, Self

from shared.cluster_address import ClusterAddress
from shared.command_times import CommandTimes
from shared.keys import SHARED_TAG, TAGS, Keys, tag_of
from shared.link import Link
from shared.redis_address import RedisAddress, connection_options
from shared.redis_link import RedisLink
from shared.redis_wire import Argument, Reply, Wire
from shared.server_clock import ServerClock
from shared.settings import CommonSettings

_WITH_SCRIPTS: Final = (b"EVALSHA", b"EVAL", "EVALSHA", "EVAL")


class Prepare(Protocol):
    """Readies a new connection for the hash tags that it is for."""

    def __call__(self, wire: Wire, tags: Sequence[str] = TAGS) -> Awaitable[None]: ...


class RedisCluster:
    """The links of all hash tags as one; an async context manager.

    A command goes by the hash tag of its first key; one without a tag, PUBLISH or TIME for example, to the shared
    tag's server: what is published anywhere in a cluster is heard everywhere in it.

    Args:
        links: by hash tag.
    """

    def __init__(self, links: Mapping[str, RedisLink]) -> None:
        self._links = dict(links)
        self._shared = self._links[SHARED_TAG]

    async def __aenter__(self) -> Self:
        for link in self.parts:
            await link.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(link.__aexit__(*exc_info) for link in self.parts))

    @property
    def parts(self) -> Sequence[RedisLink]:
        return tuple(self._links.values())

    @property
    def clock(self) -> ServerClock:
        return self._shared.clock

    @property
    def timeout(self) -> float:
        return self._shared.timeout

    @property
    def reconnects(self) -> int:
        """How often any of the connections was lost."""
        return sum(link.reconnects for link in self.parts)

    @property
    def connected(self) -> bool:
        """Whether all of them are up."""
        return all(link.connected for link in self.parts)

    @property
    def down_for(self) -> float:
        """Seconds since the one that is down for longest was lost; 0 while all are up."""
        return max(link.down_for for link in self.parts)

    @property
    def up_for(self) -> float:
        """Seconds since the newest of them was made; 0 while any is down."""
        return min(link.up_for for link in self.parts)

    def of(self, tag: str) -> RedisLink:
        return self._links[tag]

    def send(self, *args: Argument) -> asyncio.Future[Reply]:
        """Send one command to the server of its first key; see :meth:`RedisLink.send`."""
        at = 3 if args[0] in _WITH_SCRIPTS else 1
        return (self._links[tag_of(args[at])] if at < len(args) else self._shared).send(*args)

    async def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until all links are up; False if that took longer than ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not self.connected:
                    await asyncio.gather(*(link.wait_connected() for link in self.parts))
        except TimeoutError:
            return False
        return True

    def server_ms(self) -> int:
        return self._shared.server_ms()

    def server_us(self) -> int:
        return self._shared.server_us()


def address_of(settings: CommonSettings, keys: Keys, *tags: str) -> RedisAddress:
    """Return where the server is that holds a hash tag; of several, the first one's that is there."""
    if not settings.redis_cluster_nodes:
        return RedisAddress.from_settings(settings)
    options, seeds = connection_options(settings), settings.cluster_nodes
    return ClusterAddress(settings.redis_url, seeds=seeds, keys=[keys.seq(tag) for tag in tags], options=options)


def link_to_redis(settings: CommonSettings, keys: Keys, *, name: str, prepare: Prepare, times: CommandTimes) -> Link:
    """Return a link for commands, to one server or to a cluster, whichever the settings name."""
    timeout = settings.redis_timeout
    if not settings.redis_cluster_nodes:
        address = RedisAddress.from_settings(settings)
        return RedisLink(address, name=name, timeout=timeout, prepare=prepare, times=times)
    return RedisCluster(
        {
            tag: RedisLink(
                address_of(settings, keys, tag),
                name=f"{name}-{tag}",
                timeout=timeout,
                prepare=partial(prepare, tags=(tag,)),
                times=times,
                tags=(tag,),
            )
            for tag in TAGS
        }
    )
