"""This node's entry in the cluster: its lease, its counters, and which users are connected to it.

One task writes all of it: absolute counts with a rising revision, never increments. Changes of the same loop step are
sent together, so that a crowd of connecting clients costs a few script calls. A handshake waits for its user's
registration: once a client has read ``connected``, every later publish reaches it.

A node id is the node's name and a random suffix. When the lease is lost (the process was paused, Redis was away or came
back empty), the node takes a new id and registers everybody again. Its sockets stay open, since nothing is exclusive to
a node.

In a Redis Cluster a bucket may be away while the lease holds: only its own users' registrations wait.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import to_json

from node.overlay import Overlay
from node.registrar import LocalUsers, Registrar, Registration, parts_of
from shared.cluster import LEASE_TTL_MS, clear_node
from shared.errors import RedisError, RedisUnavailable
from shared.ids import Position
from shared.keys import SHARED_TAG, Keys, bucket
from shared.link import Link
from shared.redis_wire import Reply
from shared.scripts import LEASE, Scripts
from shared.stats import ClusterStats, Counters
from shared.tasks import outcomes
from shared.version import VERSION

logger = logging.getLogger(__name__)

Waiting = dict[str, list["asyncio.Future[Registration]"]]

RENEW_INTERVAL: Final = 2.0  # s
LEAVE: Final = 1.5  # s; with a Redis that hangs, more than the process may have left
_RETRY: Final = 0.25  # s
_RETRY_BUCKET: Final = 1.0  # s
_ROUND: Final = 0.005  # s between two rounds at least: a crowd that connects is registered in few of them


class Membership:
    """Holds the lease and writes the registry.

    Args:
        on_new_id: awaited whenever the node has taken a new id, before anybody is registered under it.
        on_tops: called with what every renewal brings: positions of ``admin`` and ``all``, revision of admins' states.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        scripts: Scripts,
        keys: Keys,
        local_users: LocalUsers,
        on_new_id: Callable[[str], Awaitable[None]],
        on_tops: Callable[[Position, Position, Position], None],
    ) -> None:
        self.name, self._link, self._scripts, self._keys = name, link, scripts, keys
        self._registrar = Registrar(link, scripts, keys, local_users)
        self._local_users, self._on_new_id, self._on_tops = local_users, on_new_id, on_tops
        self.node_id = f"{name}.{secrets.token_hex(4)}"
        self.draining = False
        self.overlay = Overlay()
        self._started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._revision = 0
        self._dirty: set[str] = set()
        self._waiting: defaultdict[str, list[asyncio.Future[Registration]]] = defaultdict(list)
        self._former_ids: list[str] = []  # that are still to be cleared away
        self._told_at = self._renewed_at = float("-inf")
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._left = False
        self._held = False
        self.joined = False  # whether it has ever been part of the cluster
        self.leases_lost = 0

    @property
    def lease_age(self) -> float:
        """Seconds since the lease was last renewed; it lapses after ``LEASE_TTL_MS``. 0 before it was first held."""
        return time.monotonic() - self._renewed_at if self.joined else 0.0

    # --- for the handshake and for those who leave

    def changed(self, user: str | None) -> None:
        """Have the user's count written soon; None: only the node's counters changed."""
        if user is not None:
            self._dirty.add(user)
        self._wake.set()

    def drain(self) -> None:
        """Tell the cluster that this node is leaving."""
        self.draining = True
        self._told_at = float("-inf")
        self._wake.set()

    def register(self, user: str) -> asyncio.Future[Registration]:
        """Register a user; the result is what Redis knows of it, or a ``RedisError``."""
        future: asyncio.Future[Registration] = asyncio.get_running_loop().create_future()
        if not all(self._link.of(tag).connected for tag in (SHARED_TAG, bucket(user))):
            future.set_exception(RedisUnavailable("redis is away"))
            return future
        self._waiting[user].append(future)
        self.changed(user)
        return future

    def show(self, stats: ClusterStats) -> Counters:
        """Return the cluster's counters: the last sums, with what changed here since they were taken."""
        here = Counters(self._local_users.user_count(), *self._local_users.connection_counts())
        return self.overlay.show(stats, here)

    # --- the writer

    async def run(self) -> None:
        """Hold the lease and keep the registry up to date until cancelled."""
        while True:
            try:
                async with self._writing:
                    if not self._left:
                        await self._write()
            except RedisError as exc:
                if self._held:
                    logger.warning("lease cannot be renewed", extra={"node_id": self.node_id, "error": str(exc)})
                self._held = False  # what Redis has kept of us is not known any more
                _fail(self._waiting, exc)
                await self._link.of(SHARED_TAG).wait_connected()
                await asyncio.sleep(_RETRY)
                continue
            await asyncio.sleep(_ROUND)
            try:
                async with asyncio.timeout(_RETRY_BUCKET if self._dirty else RENEW_INTERVAL):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _write(self) -> None:
        if self._held and time.monotonic() - self._renewed_at > LEASE_TTL_MS / 1000:
            # Paused for longer than the lease holds: others may have removed this id already. Registrations that are
            # sent along with the renewal would be stored under it, and nobody would ever remove them.
            self._take_new_id("paused for longer than the lease")
            self._held = False
        if not self._held:
            await self._join()
        await self._clear_former_ids()
        self._dirty |= await self._registrar.users_to_register_again(self.node_id)
        self._wake.clear()
        users, self._dirty = self._dirty, set()
        # Users who connect during this round wait for the next one: this one does not include them.
        waiting, self._waiting = self._waiting, defaultdict(list)
        try:
            lost = await self._write_once(users, waiting)
        except RedisError as exc:
            self._dirty |= users
            _fail(waiting, exc)
            raise
        if lost:
            self._dirty |= users
            for user, futures in waiting.items():
                self._waiting[user][:0] = futures
            self._take_new_id("the lease has lapsed")
            self._held = False
            self._wake.set()

    async def _write_once(self, users: set[str], waiting: Waiting) -> bool:
        """Send one round of registrations and the lease's renewal; True if this node id is dead.

        Users of a bucket that is away are left to a later round, and whoever waits for them is told.
        """
        parts = parts_of(users)
        calls = [self._registrar.write(part, self.node_id, self._revision) for part in parts]
        lease, *registered = await outcomes(self._lease("renew"), *calls)
        if isinstance(lease, RedisError):
            raise lease
        if lease[0] == b"lost" or any(reply[0] == b"dead" for reply in registered if not isinstance(reply, RedisError)):
            return True
        for (_, members), reply in zip(parts, registered, strict=True):
            if isinstance(reply, RedisError):
                self._dirty.update(members)
                _fail({user: waiting.pop(user) for user in members if user in waiting}, reply)
            else:
                self._settle(members, reply, waiting)
        self._take_tops(lease)
        return False

    async def _join(self) -> None:
        """Take a lease, subscribe to the node id's channel, and have everybody registered."""
        await self._on_new_id(self.node_id)
        reply = await self._lease("take")
        if reply[0] == b"lost":  # cleared while Redis was away from us
            self._take_new_id("the lease has lapsed")
            await self._on_new_id(self.node_id)
            reply = await self._lease("take")
        again, self._held, self.joined = self.joined, True, True
        self._registrar.begin_anew()
        self._take_tops(reply)
        users = self._local_users.user_count()
        logger.info("node joined", extra={"node_id": self.node_id, "again": again, "users": users})

    def _take_new_id(self, reason: str) -> None:
        before, self.node_id = self.node_id, f"{self.name}.{secrets.token_hex(4)}"
        self._former_ids.append(before)
        logger.warning("new node id", extra={"node_id": self.node_id, "before": before, "reason": reason})
        self.overlay.forget()
        self.leases_lost += 1

    async def _clear_former_ids(self) -> None:
        """Remove what is stored under our former ids: if Redis has forgotten one, no caretaker would find it."""
        while self._former_ids:
            try:
                await clear_node(self._link, self._scripts, self._keys, self._former_ids[0])
            except RedisError as exc:
                logger.debug("a former id is not cleared yet", extra={"error": str(exc)})
                return
            self._former_ids.pop(0)

    async def _lease(self, how: str) -> Reply:
        k = self._keys
        counts = self._local_users.connection_counts()
        self._revision += 1
        sent_at = time.monotonic()
        reply: list[Any] = await self._scripts.run(
            self._link,
            LEASE,
            (k.leases, k.nodes, k.counts, k.totals, k.gone, k.seq(SHARED_TAG)),
            (how, self.node_id, LEASE_TTL_MS, self._revision, *counts, self._about()),
        )
        if reply[0] == b"held":
            self._renewed_at = sent_at
            self.overlay.wrote_counts(reply[1], *counts)
        return reply

    def _about(self) -> bytes:
        """Return the node's description of itself as JSON, or nothing if it was sent a moment ago."""
        now = time.monotonic()
        if self._held and now - self._told_at < RENEW_INTERVAL / 2:
            return b""
        self._told_at = now
        return to_json(
            {
                "name": self.name,
                "state": "draining" if self.draining else "up",
                "version": VERSION,
                "started_at": self._started_at,
                "users": self._local_users.user_count(),
            }
        )

    def _settle(self, users: list[str], reply: list[Any], waiting: Waiting) -> None:
        """Answer those who wait; the revision cannot be stale, since there is one writer on one connection."""
        _, now, untouched, *values = reply
        for index, user in enumerate(users):
            elsewhere, blocked, top, has_states, change = values[index * 5 : index * 5 + 5]
            registration = Registration(elsewhere, blocked == 1, Position.parse(top or untouched), has_states == 1)
            self._local_users.compare(user, registration.top)  # while the lease was lost, publishes were not sent here
            if change:
                self.overlay.users_changed(now, change)
            for future in waiting.pop(user, ()):
                if not future.done():
                    future.set_result(registration)

    def _take_tops(self, reply: list[bytes]) -> None:
        admin, everyone, states = map(Position.parse, reply[2:5])
        self._on_tops(admin, everyone, states)

    async def leave(self) -> None:
        """Leave registry and counters, after the last socket; if that fails, the lease lapses and others clean up."""
        self._left = True  # else the writer would find its id dead, and join under a new one
        try:
            async with asyncio.timeout(LEAVE), self._writing:
                await clear_node(self._link, self._scripts, self._keys, self.node_id)
                await self._lease("leave")
        except (RedisError, TimeoutError) as exc:
            why = str(exc) or f"no answer within {LEAVE} s"
            logger.warning("could not leave the registry; the lease will lapse", extra={"error": why})
            return
        logger.info("node left", extra={"node_id": self.node_id})


def _fail(waiting: Waiting, exc: RedisError) -> None:
    for futures in waiting.values():
        for future in futures:
            if not future.done():
                future.set_exception(exc)
                future.exception()  # its handshake may have gone meanwhile
    waiting.clear()
