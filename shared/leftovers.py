"""Removes what dead nodes left in a bucket of a Redis Cluster whose server forgot that they had been removed.

Leases are on one master, a user's registrations on another. If that other master fails over, its replica may have
missed the removal of a node. The leases' master no longer knows the node, so nothing would remove it again, and its
users would be counted for ever. So a bucket that is reached over a new connection is searched once for node ids
without a lease. If the leases' master may have forgotten something, all buckets are searched: nobody knows any more of
a node that died before it could take a lease again. A single server forgets both or neither, and is not searched.
"""

from __future__ import annotations

import logging

from shared.cluster import clear_node, parse_places
from shared.keys import BUCKET_TAGS, SHARED_TAG, Keys
from shared.link import Link
from shared.scripts import Scripts

logger = logging.getLogger(__name__)

_PAGE = 500  # users, about 0.3 ms of Redis


class Leftovers:
    def __init__(self, link: Link, scripts: Scripts, keys: Keys) -> None:
        self._link, self._scripts, self._keys = link, scripts, keys
        # By bucket, the connections to it and to the leases.
        self._looked_on: dict[str, tuple[int, int]] = dict.fromkeys(BUCKET_TAGS, (0, 0))

    async def clear(self) -> None:
        """Search and clear the buckets whose connection is new. Raises ``RedisError``: to be repeated."""
        if len(self._link.parts) == 1:
            return
        for tag, looked_on in self._looked_on.items():
            made = (self._link.of(tag).reconnects, self._link.of(SHARED_TAG).reconnects)
            if made == looked_on:
                continue
            for node_id in sorted(await self._without_a_lease(tag)):
                await clear_node(self._link, self._scripts, self._keys, node_id)
                logger.warning("what a dead node left is cleared away", extra={"node_id": node_id})
            self._looked_on[tag] = made

    async def _without_a_lease(self, tag: str) -> set[str]:
        named: set[str] = set()
        cursor: bytes | int = 0
        while True:
            cursor, entries = await self._link.send("HSCAN", self._keys.users(tag), cursor, "COUNT", _PAGE)
            for places in entries[1::2]:
                named.update(parse_places(places))
            if int(cursor) == 0:
                break
        # Read last: a node takes its lease before it registers anybody.
        leased = await self._link.send("ZRANGE", self._keys.leases, 0, -1)
        return named - {node_id.decode() for node_id in leased}
