"""Deletes expired and old notifications, and what was set aside long ago, in the background; one router at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from router.archive_counts import ArchiveCounts
from router.inbox_removal import CHUNK, remove_expired, remove_older
from router.turn import Turn
from shared.database import Database
from shared.errors import DatabaseError, RedisError
from shared.keys import TAGS, Keys
from shared.link import Link

logger = logging.getLogger(__name__)

_INTERVAL: Final = 2.0  # s between looks
_BREATH: Final = 0.02  # s between chunks: the database is there for others


class InboxSweeper:
    """Removes notifications whose ``expires_at`` has passed, and those older than a number of days."""

    def __init__(
        self, database: Database, link: Link, keys: Keys, counts: ArchiveCounts, *, retention_days: float
    ) -> None:
        self._database, self._counts = database, counts
        self._link, self._keys = link, keys
        self._turn = Turn(link, keys.inbox_turn)
        self._retention = retention_days * 24 * 3600

    async def run(self) -> None:
        """Sweep until cancelled."""
        try:
            while True:
                try:
                    more = await self._turn.take() and await self._sweep()
                except (RedisError, DatabaseError) as exc:
                    logger.debug("the sweeper waits", extra={"error": str(exc)})
                    more = False
                    await self._turn.give_back()  # another router may reach the database
                await asyncio.sleep(_BREATH if more else _INTERVAL)
        finally:
            await self._turn.give_back()

    async def _sweep(self) -> bool:
        """Remove a chunk of each kind; return whether there is more."""
        now = time.time()
        expired = await remove_expired(self._database, int(now * 1000))
        old = await remove_older(self._database, int((now - self._retention) * 1_000_000))
        self._counts.removed += expired + old
        too_old = int((now - self._retention) * 1000)
        for tag in TAGS:
            await self._link.send("XTRIM", self._keys.archive_dead(tag), "MINID", max(too_old, 0))
        return max(expired, old) >= CHUNK
