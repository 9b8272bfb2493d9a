"""Reads the queue, a Redis stream, and publishes its entries: for producers that cannot make HTTP calls.

    XADD ──▶ queue:{c} ──the one router whose turn it is──▶ validated, published ──▶ taken off
                                                               └──▶ cannot be published: queue:{c}:dead

One router at a time takes entries, in their order, and settles a batch before it takes the next. So what a producer
appends in order is published in order, to every audience; with several routers at once, two events of one user could
swap. The other routers ask every half second whether the turn is free; after a crash it is free within ``TURN_MS``. One
router is enough: a message costs it little more in the queue than in a batch over HTTP.

No entry is lost: it is taken off only when its message is safely stored. No message is doubled: the turn only saves
routers from doing the same work, and it is each entry's idempotency key that makes repeated work harmless. A router
that was paused in the middle of a batch does no harm when it goes on.

How often an entry was taken without being settled shows entries that crash routers. Attempts that failed only because
Redis was away or refused to write are not counted. An attempt without an answer is: the entry may be what crashes
Redis.

New entries are waited for on a separate connection, since Redis answers nothing else on it meanwhile, and each wait is
shorter than the time after which a connection counts as hung.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from router.queue_calls import TAKINGS_MAX, QueueCalls, Verdict
from router.queue_counts import QueueCounts
from router.queue_entry import Entry
from router.settings import RouterSettings
from router.turn import GIVE_BACK
from shared.errors import OutcomeUnknown, RedisError, RedisRefused, RedisUnavailable
from shared.keys import Keys
from shared.link import Link
from shared.redis_address import RedisAddress
from shared.redis_link import RedisLink
from shared.scripts import QUEUE_SETTLE, QUEUE_TAKE, Scripts
from shared.tasks import running

logger = logging.getLogger(__name__)

TURN_MS: Final = 3000
BATCH_MAX: Final = 200  # entries
_BATCH_BYTES: Final = 512 * 1024
_TAKEN_ALONE: Final = 3  # takings after which an entry is taken without others: it may be what ends routers
_DEAD_MAX: Final = 1000  # entries that are kept aside, about
_DEAD_DAYS: Final = 30  # for which they are: they may be about people
_DEAD_VALUE_MAX: Final = 64 * 1024  # bytes of a value that are kept aside
_DEAD_FIELDS_MAX: Final = 16
_TURN_INTERVAL: Final = 0.5  # s between asking whether it is our turn
_BLOCK_MS: Final = 1000  # shorter than the turn
_PAUSES: Final = (0.1, 2.0)  # s; first and longest pause after a failure, jittered; shorter than the turn
_GROUP: Final = "routers"


class _Taken(NamedTuple):
    """What Redis said (``queue_take.lua``); ``takings``: how often the first entry had been taken before."""

    mine: bool
    entries: list[Entry]
    takings: int
    newest: str


class QueueReader:
    """Takes its turn in reading the queue.

    Args:
        bell: a link that nothing else uses.
        name: the router's.
        max_length: entries that the queue may have; beyond, the oldest are given up.
        body_max_bytes: of an entry.
    """

    def __init__(
        self,
        link: Link,
        bell: RedisLink,
        scripts: Scripts,
        keys: Keys,
        calls: QueueCalls,
        counts: QueueCounts,
        *,
        name: str,
        max_length: int,
        body_max_bytes: int,
    ) -> None:
        self._link, self._bell, self._scripts, self._keys = link, bell, scripts, keys
        self._calls, self._counts = calls, counts
        self._max_length, self._body_max = max_length, body_max_bytes
        self._me = f"{name}.{secrets.token_hex(4)}"
        self._block_ms = int(min(_BLOCK_MS, bell.timeout * 1000 / 3))
        self._failures = 0  # in a row
        self._refused = False  # the last one was Redis's doing alone

    async def run(self) -> None:
        """Read the queue until cancelled."""
        try:
            while True:
                try:
                    await self._round()
                except RedisError as exc:
                    await self._failed(exc)
        finally:
            with contextlib.suppress(RedisError, TimeoutError):
                async with asyncio.timeout(GIVE_BACK):
                    await self._take(turn_ms=0)

    async def _round(self) -> None:
        if not self._link.connected:
            # In a Redis Cluster perhaps only one bucket is away, and only for this router. A router that reaches all of
            # them takes over when our turn has run out. If we took entries, they would fail or be published in part,
            # again and again.
            raise RedisUnavailable(f"no connection to Redis, or to a part of it, for {self._link.down_for:.1f} s")
        taken = await self._take()
        if taken.entries:
            await self._publish(taken)
        if self._failures:
            self._failures, self._refused = 0, False
            logger.info("the queue is read again")
        if not taken.mine:
            await asyncio.sleep(_TURN_INTERVAL)
        elif not taken.entries:
            await self._wait_for_more(taken.newest)

    async def _publish(self, taken: _Taken) -> None:
        if taken.takings >= TAKINGS_MAX:
            aside = [self._calls.never_finished(entry, taken.takings) for entry in taken.entries]
            await self._settle(Verdict(aside=aside))
            return
        async for verdict in self._calls.accept(taken.entries):
            await self._settle(verdict)

    async def _failed(self, exc: RedisError) -> None:
        self._counts.failures["refused" if isinstance(exc, RedisRefused) else "away"] += 1
        if self._failures == 0:
            logger.warning("the queue waits for redis", extra={"error": str(exc)})
        self._failures += 1
        self._refused = not isinstance(exc, OutcomeUnknown)
        pause = min(_PAUSES[0] * 2.0 ** min(self._failures - 1, 10), _PAUSES[1])
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311

    # --- Redis

    async def _take(self, turn_ms: int = TURN_MS) -> _Taken:
        reply = await self._scripts.run(
            self._link,
            QUEUE_TAKE,
            (self._keys.queue, self._keys.queue_turn, self._keys.queue_dead),
            (
                self._me,
                turn_ms,
                _GROUP,
                _GROUP,
                BATCH_MAX,
                _BATCH_BYTES,
                self._body_max,
                _TAKEN_ALONE,
                self._max_length,
                _DEAD_DAYS * 24 * 3600 * 1000,
                int(self._refused),
            ),
        )
        return self._read(*reply)

    def _read(
        self,
        mine: int,
        entries: list[Any],
        takings: int,
        given_up: int,
        waiting: int,
        taken: int,
        oldest: bytes,
        newest: bytes,
    ) -> _Taken:
        counts = self._counts
        counts.mine, counts.waiting, counts.taken = bool(mine), waiting, taken
        counts.oldest_ms = int(oldest.partition(b"-")[0] or 0)
        counts.read += len(entries)
        if given_up:
            counts.given_up += given_up
            logger.error("queue entries are lost: it was longer than it may be", extra={"entries": given_up})
        found = [Entry(entry_id.decode(), fields, size) for entry_id, fields, size in entries]
        return _Taken(bool(mine), found, takings, newest.decode())

    async def _settle(self, verdict: Verdict) -> None:
        aside = [text for each in verdict.aside for text in (each.id, each.reason, each.detail, each.trace_id)]
        await self._scripts.run(
            self._link,
            QUEUE_SETTLE,
            (self._keys.queue, self._keys.queue_dead),
            (_GROUP, _DEAD_MAX, _DEAD_VALUE_MAX, _DEAD_FIELDS_MAX, len(verdict.done), *verdict.done, *aside),
        )
        self._counts.accepted += len(verdict.done)
        self._counts.set_aside.update(each.reason for each in verdict.aside)

    async def _wait_for_more(self, newest: str) -> None:
        """Return once there is an entry after ``newest``, or after a while. Nothing is taken."""
        try:
            await self._bell.send(
                "XREAD", "COUNT", 1, "BLOCK", self._block_ms, "STREAMS", self._keys.queue, newest or "$"
            )
        except RedisError:
            await asyncio.sleep(_PAUSES[0])


@asynccontextmanager
async def reading_queue(
    settings: RouterSettings,
    redis: RedisAddress,
    link: Link,
    scripts: Scripts,
    keys: Keys,
    calls: QueueCalls,
    counts: QueueCounts,
) -> AsyncIterator[RedisLink]:
    """Read the queue for as long as the context lasts; yields the link on which new entries are waited for."""
    async with RedisLink(redis, name="vsrt-queue", timeout=settings.redis_timeout) as bell:
        reader = QueueReader(
            link,
            bell,
            scripts,
            keys,
            calls,
            counts,
            name=settings.router_name,
            max_length=settings.queue_max_length,
            body_max_bytes=settings.http_body_max_bytes,
        )
        async with running(reader.run(), "queue"):
            yield bell
