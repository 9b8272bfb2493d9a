"""Finding a loss that nothing comes after: by comparing every feed with what Redis says of its stream.

A lost message in the middle is seen by the next one's number. The last one is not: so every few seconds, and whenever
the node's ear was made anew, the newest positions and states' revisions are asked for, and what differs is read. It is
done before its time when a publish could not be read: during an update, routers may speak a version that we do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from node.connection_manager import ConnectionManager
from node.feed import Feed, Spawn
from node.history import History
from node.states import catch_up_states
from shared.errors import RedisError
from shared.ids import BEGINNING, Position
from shared.keys import BUCKET_TAGS, Keys
from shared.link import Link

logger = logging.getLogger(__name__)

INTERVAL: Final = 10.0  # s; 5,000 users cost the server 1.5 ms
SOONEST: Final = 1.0  # s between two comparisons at least, however many are asked for


class Tops:
    """Compares feeds with Redis, and ends what an order lost on the bus should have ended."""

    def __init__(
        self,
        connections: ConnectionManager,
        history: History,
        link: Link,
        keys: Keys,
        spawn: Spawn,
        end_user: Callable[[str], None],
    ) -> None:
        self._connections, self._history, self._link, self._keys = connections, history, link, keys
        self._spawn, self._end_user = spawn, end_user
        self._asked = asyncio.Event()

    def see(self, admin: Position, everyone: Position, states: Position) -> None:
        """Take what a lease's renewal brings: the shared streams' positions, the revision of the admins' states."""
        for feed, top in ((self._connections.all, everyone), (self._connections.admin, admin)):
            if feed.top is None:
                feed.open(top)
            else:
                feed.compare(top)
        if self._connections.admin.states is not None:
            self._compare_states(self._connections.admin, states)

    async def compare(self) -> None:
        """Compare every feed now; while Redis is away, the next time will do."""
        by_tag: dict[str, list[Feed]] = defaultdict(list)
        for feed in self._connections.feeds:
            if feed.top is not None:
                by_tag[feed.tag].append(feed)
        for tag, feeds in by_tag.items():
            try:
                tops = await self._history.tops(tag, [feed.stream for feed in feeds])
            except RedisError as exc:
                logger.debug("tops cannot be compared", extra={"error": str(exc)})
                continue
            for feed, (top, states) in zip(feeds, tops, strict=True):
                feed.compare(top)
                if feed is not self._connections.admin and feed.sessions:
                    self._compare_states(feed, states)

    def soon(self) -> bool:
        """Ask for a comparison before its time; return whether nobody had asked since the last one."""
        first = not self._asked.is_set()
        self._asked.set()
        return first

    def _compare_states(self, feed: Feed, revision: Position) -> None:
        known = feed.states.confirmed if feed.states is not None else BEGINNING
        if revision > known:
            self._spawn(self._catch_up(feed, revision))

    async def _catch_up(self, feed: Feed, revision: Position) -> None:
        try:
            await catch_up_states(feed, self._link, self._keys, revision)
        except RedisError as exc:
            logger.debug("states cannot be read", extra={"error": str(exc)})

    async def run(self) -> None:
        """Compare every ten seconds, or sooner when asked, until cancelled."""
        while True:
            await asyncio.sleep(SOONEST)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), INTERVAL - SOONEST)
            self._asked.clear()
            await self.compare()
            await self._end_blocked()

    async def _end_blocked(self) -> None:
        """End connections of blocked users: the order to do so may have been lost on the bus."""
        for tag in BUCKET_TAGS:
            link = self._link.of(tag)
            with contextlib.suppress(RedisError):
                for user in await link.send("ZRANGEBYSCORE", self._keys.blocked(tag), link.server_ms(), "+inf"):
                    self._end_user(user.decode())
