"""What somebody has to do for the whole cluster: sum up its counters, clear dead nodes away.

Every node and router runs a caretaker, and one of them at a time holds a short lock and does the work; when it dies,
another takes over within the lock's time. A node killed with ``kill -9`` is gone from registry and counters after its
lease (8 s), the lock (2 s at worst) and one round. When Redis was away, that begins anew with the first look.

In a Redis Cluster one process may be cut off from a bucket that all others reach. So whoever lacks a part lets the lock
lapse, and takes it only if nobody else does; and dead nodes are cleared from the buckets that are there meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from shared.cluster import LEASE_TTL_MS, TOMB_MS, clear_node
from shared.deaths import Deaths, DeathsSeen
from shared.errors import RedisError
from shared.keys import BUCKET_TAGS, Keys
from shared.leftovers import Leftovers
from shared.link import Link
from shared.scripts import BURY, Scripts
from shared.stats import ClusterStats, Counters
from shared.tasks import observe

logger = logging.getLogger(__name__)

INTERVAL = 0.25  # s between two sums
LOOK_INTERVAL = 1.0  # s between two looks at the leases
LOCK_MS = 2000
# Without a look at the leases for so long, nobody reached the server: another caretaker takes over within 3.5 s, and an
# outage in which leases lapse that were renewed within 2 s has lasted for 6 s.
BLIND_MS = 5000


class Caretaker:
    """Takes its turn in looking after the cluster, and keeps the newest sums at hand.

    Args:
        name: the process's, by which people find whose turn it is.
    """

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, name: str = "") -> None:
        self._link, self._scripts, self._keys = link, scripts, keys
        self._me = f"{name}.{secrets.token_hex(4)}".encode()
        self._leftovers = Leftovers(link, scripts, keys)
        self._looked_at = float("-inf")
        self._vacant = False  # nobody had the lock when we last looked, and did not take it
        self.stats = ClusterStats()
        self.deaths = DeathsSeen()

    async def run(self) -> None:
        """Look after the cluster until cancelled."""
        while True:
            try:
                await self._round()
            except RedisError as exc:
                logger.debug("caretaker waits for redis", extra={"error": str(exc)})
            await asyncio.sleep(INTERVAL)

    async def _round(self) -> None:
        keys, link = self._keys, self._link
        whole = link.connected
        takes = whole or self._vacant
        look = ("SET", keys.caretaker, self._me, "NX", "GET", "PX", LOCK_MS) if takes else ("GET", keys.caretaker)
        who, raw = await asyncio.gather(link.send(*look), link.send("GET", keys.stats))
        self._vacant = who is None and not takes
        if self._vacant or who not in (None, self._me):
            self._take(ClusterStats.load(raw))
            return
        if who == self._me and whole:
            link.send("PEXPIRE", keys.caretaker, LOCK_MS).add_done_callback(observe)  # seen in the next round
        # By time, and not in every fourth round: over a slow link those are so far apart that they would pass for none.
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= LOOK_INTERVAL:
            self._looked_at = now
            await self._clear_dead_nodes()  # first: the sums need every bucket
        self._take(await self._sum_up())

    def _take(self, stats: ClusterStats) -> None:
        if stats.at_ms > self.stats.at_ms:  # not what one that was paused amid its turn writes late: it knows of fewer
            self.deaths.take(stats.deaths)
        self.stats = stats

    async def _sum_up(self) -> ClusterStats:
        keys, link = self._keys, self._link
        clock, totals, deaths, *sizes = await asyncio.gather(
            link.send("TIME"),
            link.send("HMGET", keys.totals, "user", "admin"),
            link.send("HMGET", keys.buried, *Deaths._fields),
            *(link.send("HLEN", keys.users(tag)) for tag in BUCKET_TAGS),
        )
        counters = Counters(sum(sizes), int(totals[0] or 0), int(totals[1] or 0))
        at_ms = int(clock[0]) * 1000 + int(clock[1]) // 1000
        stats = ClusterStats(at_ms, counters, Deaths(*(int(number or 0) for number in deaths)))
        await link.send("SET", keys.stats, stats.dump())
        return stats

    async def _clear_dead_nodes(self) -> None:
        k = self._keys
        dying: list[bytes] = await self._scripts.run(
            self._link,
            BURY,
            (k.leases, k.nodes, k.counts, k.totals, k.gone, k.dying, k.buried),
            (TOMB_MS, BLIND_MS, LEASE_TTL_MS),
        )
        failure: RedisError | None = None
        for node_id in map(bytes.decode, dying):
            try:
                await clear_node(self._link, self._scripts, k, node_id)
                await self._link.send("ZREM", k.dying, node_id)
            except RedisError as exc:  # it stays among the dying; the others need not wait for it
                failure = exc
                continue
            logger.warning("dead node buried", extra={"node_id": node_id})
        if failure is not None:
            raise failure
        await self._leftovers.clear()
