"""The active transcodes of the cluster, for admins.

A node subscribes to the progress channel only while an admin is connected to it. It waits for the confirmation, and
then reads the table: a value published in between arrives on the bus, and the newer of the two wins. For every further
admin it reads what has changed since, because the subscription may be dead without a sign while the admin has already
seen newer values elsewhere. Admins who connect during such a read share the next one.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from node.bus import Bus
from node.feed import Feed
from node.states import catch_up_states
from shared.keys import Keys
from shared.link import Link

_LINGER: Final = 30.0  # s without an admin before the node stops listening


class Progress:
    def __init__(self, admins: Feed, bus: Bus, link: Link, keys: Keys) -> None:
        self._admins, self._bus, self._link, self._keys = admins, bus, link, keys
        self._lock = asyncio.Lock()
        self._listening = False
        self._came = self._served = 0  # admins, by a number in the order of their coming
        self._idle_since: float | None = None

    async def listen(self) -> None:
        """Bring the table up to date, and subscribe so that it stays so. Raises ``RedisError``."""
        self._idle_since = None
        self._came += 1
        ticket = self._came
        async with self._lock:
            if self._served >= ticket:
                return
            serves = self._came
            if not self._listening:
                await self._bus.subscribe(self._keys.progress_channel)
            await catch_up_states(self._admins, self._link, self._keys)
            self._listening, self._served = True, serves

    async def tend(self) -> None:
        """Unsubscribe a while after the last admin has left."""
        if not self._listening and not self._lock.locked():
            self._admins.states = None  # of a value that came after the last admin had gone
        if not self._listening or self._admins.sessions:
            self._idle_since = None
            return
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > _LINGER:
            self._listening, self._admins.states = False, None
            await self._bus.unsubscribe(self._keys.progress_channel)
