"""The node's subscription to its Redis channels (its "ear"), on a connection of its own.

What is published while the connection is being remade is lost, and a subscription can also die without a sign. So the
node publishes a probe to its own channel every few seconds, over the command connection. A probe that cannot be sent
says nothing about the subscription. A probe that was sent and does not arrive within two intervals means that the node
is deaf: it then drops the connection and subscribes anew. After every subscription the tops of the feeds are compared
with Redis, and what was missed is read from history.

In a Redis Cluster every server delivers every publish. The node subscribes at the server of the shared tag: at another
one, the renewal of its lease could report events that have not arrived there yet. While that server is away, the node
subscribes elsewhere and still receives what is published on the remaining servers. A server that is cut off from the
others reports that itself, and the node leaves it (:mod:`shared.cluster_address`). What was not delivered until then is
found by comparing tops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from shared import envelope
from shared.command_times import CommandTimes
from shared.errors import RedisError, RedisUnavailable
from shared.keys import Keys
from shared.redis_address import RedisAddress
from shared.redis_link import RedisLink
from shared.redis_wire import Wire

logger = logging.getLogger(__name__)

PROBE_INTERVAL: Final = 3.0  # s
_DEAF_AFTER: Final = 2 * PROBE_INTERVAL
_CONFIRM_TIMEOUT: Final = 3.0  # s
_PROBE: Final = envelope.VERSION + b" " + envelope.PROBE + b" "


class Bus:
    """The subscription; an async context manager.

    Args:
        server: where to subscribe.
        commands: the command connection to the server of the shared tag.
        hear: called with the bytes of every publish.
        resubscribed: awaited after a subscription was made anew: something may have been missed.
    """

    def __init__(
        self,
        server: RedisAddress,
        keys: Keys,
        commands: RedisLink,
        hear: Callable[[bytes], None],
        resubscribed: Callable[[], Awaitable[None]],
        *,
        timeout: float,
        times: CommandTimes | None = None,
    ) -> None:
        self._keys, self._commands, self._hear, self._resubscribed = keys, commands, hear, resubscribed
        self._server = server
        self._link = RedisLink(
            server, name="vsrt-bus", timeout=timeout, prepare=self._subscribe_all, on_push=self._push, times=times
        )
        self._channels: set[str] = {keys.admin_channel, keys.all_channel}
        self._own_channel = ""
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._probed_at: float | None = None  # the first probe of ours that was sent and not heard since
        self._heard_at = self._loop.time()
        self._went_back_on = -1  # the connection for commands whose coming last brought the ear back
        self.rebuilds = 0

    async def __aenter__(self) -> Bus:
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._link.__aexit__(*exc_info)

    @property
    def deaf(self) -> bool:
        """Whether there has been no subscription while Redis worked, or a sent probe has not arrived, for too long."""
        # After a hang of Redis the commands may be back a moment before the subscription: that alone is not deaf.
        if min(self._link.down_for, self._commands.up_for) > _DEAF_AFTER:
            return True
        return self._probed_at is not None and self._loop.time() - self._probed_at > _DEAF_AFTER

    @property
    def silent_for(self) -> float:
        """Seconds since anything arrived, our own probes included."""
        return self._loop.time() - self._heard_at

    @property
    def link(self) -> RedisLink:
        """The connection that listens."""
        return self._link

    async def use_node_channel(self, node_id: str) -> None:
        """Subscribe to the channel of a node id instead of the former one; wait for the confirmation.

        Raises:
            RedisError: it was not confirmed.
        """
        old, self._own_channel = self._own_channel, self._keys.node_channel(node_id)
        await self.subscribe(self._own_channel)
        if old and old != self._own_channel:
            await self.unsubscribe(old)

    async def subscribe(self, channel: str) -> None:
        """Subscribe to one more channel and wait for the confirmation.

        Raises:
            RedisError: it was not confirmed.
        """
        self._channels.add(channel)
        if not await self._link.wait_connected(_CONFIRM_TIMEOUT):
            raise RedisUnavailable("the bus is not connected")
        await self._confirmed(channel, self._link)

    async def unsubscribe(self, channel: str) -> None:
        self._channels.discard(channel)
        self._link.tell("UNSUBSCRIBE", channel)

    async def _subscribe_all(self, wire: Wire) -> None:
        for channel in sorted(self._channels):
            await self._confirmed(channel, wire)

    async def _confirmed(self, channel: str, ear: Wire | RedisLink) -> None:
        confirmation = self._confirmations.setdefault(channel, self._loop.create_future())
        ear.tell("SUBSCRIBE", channel)
        try:
            awaited = {confirmation, ear.closed} if isinstance(ear, Wire) else {confirmation}
            await asyncio.wait(awaited, timeout=_CONFIRM_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if not confirmation.done():
                raise RedisUnavailable(f"no confirmation for {channel}")
        finally:
            self._confirmations.pop(channel, None)

    def _push(self, push: list[Any]) -> None:
        kind = push[0]
        if kind == b"message":
            data: bytes = push[2]
            self._probed_at, self._heard_at = None, self._loop.time()
            if not data.startswith(_PROBE):
                self._hear(data)
        elif kind == b"subscribe":
            confirmation = self._confirmations.get(push[1].decode())
            if confirmation is not None and not confirmation.done():
                confirmation.set_result(None)

    async def run(self) -> None:
        """Probe the subscription until cancelled; have tops compared whenever it was made anew."""
        known = -1
        deaf_since: float | None = None
        while True:
            await self._link.wait_connected()
            if self._link.reconnects != known:
                known = self._link.reconnects
                self._probed_at = None
                await self._resubscribed()
                if deaf_since is not None:
                    logger.warning("hears again", extra={"seconds": round(self._loop.time() - deaf_since, 1)})
                    deaf_since = None
            await self._probe()
            await asyncio.sleep(PROBE_INTERVAL)
            if self.deaf:
                logger.error("deaf: probes are sent but not heard; subscribing anew")
                self.rebuilds += 1
                deaf_since = deaf_since or self._loop.time()
                self._probed_at = None
                self._link.drop()
            self._go_back()

    def _go_back(self) -> None:
        """Return to the shared tag's server once it is back.

        Tried once per command connection: the server may take commands and still refuse the subscription.
        """
        there = self._commands.reconnects
        both = self._link.connected and self._commands.connected
        if both and self._server.elsewhere and there != self._went_back_on:
            self._went_back_on = there
            logger.info("goes back to the shared tag's server")
            self._link.drop()

    async def _probe(self) -> None:
        if not self._own_channel:
            return
        first = self._probed_at is None
        if first:
            self._probed_at = self._loop.time()
        try:
            await self._commands.send("PUBLISH", self._own_channel, envelope.probe(b"probe"))
        except RedisError:
            if first:
                self._probed_at = None  # the publish failed, the ear is not to blame
