"""Finds losses that no later event reveals, by comparing every feed with its stream in Redis.

A lost event in the middle is noticed by the number of the next one; the loss of the last event is not. So every few
seconds, and after every new subscription, the newest positions and the states' revisions are read from Redis, and
feeds that are behind read what they miss. A publish that could not be read makes the next comparison come sooner:
during a rolling update, routers may write a version that this node does not know.

An answer of Redis may overtake publishes that were made before it, for it comes on another connection. So feeds are
compared a moment after the answer: what was only under way has arrived by then, and is no loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

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
_UNDER_WAY: Final = 0.5  # s for which a publish may be on its way when Redis already tells of it


class Tops:
    """Compares feeds with Redis; also ends connections of blocked users, if the order to do so was lost on the bus."""

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
        """Take what a lease's renewal returned: the shared streams' tops, and the revision of the admins' states."""
        for feed, top in ((self._connections.all, everyone), (self._connections.admin, admin)):
            if feed.top is None:
                feed.open(top)
            else:
                self._a_moment_later(feed.compare, top)
        if self._connections.admin.states is not None:
            self._a_moment_later(self._compare_states, self._connections.admin, states)

    async def compare(self) -> None:
        """Read the tops of all feeds, to compare them; those whose Redis is away are left to the next time."""
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
                self._a_moment_later(feed.compare, top)
                if feed is not self._connections.admin and feed.sessions:
                    self._a_moment_later(self._compare_states, feed, states)

    def _a_moment_later(self, compare: Callable[..., None], *with_what: Any) -> None:
        asyncio.get_running_loop().call_later(_UNDER_WAY, compare, *with_what)

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
