"""Moves events from Redis, where publishing leaves them, to the inbox's database, in order.

 publish.lua ──one entry per call──▶ archive:{tag} ──in order, from its beginning──▶ inbox_notification
                                          ▲                                               │ committed
                                          └───────────── trimmed up to there ◀────────────┘

There is no consumer group: its consumers would commit newer events before older ones, so that a reader that goes by
positions would miss some, and a count could not say up to where it is complete. Here whoever writes starts at the
beginning of the stream, and takes off what is committed. So the database holds all events of an audience up to one
position, however many routers write at once, and a successor of a dead router needs no list of claimed entries. Writing
an event twice does no harm: its position is its key. One router per tag has the turn, which only saves work. What waits
in all of its tags a router writes together: a transaction costs as much as a hundred events.

| what happens | what becomes of it |
| --- | --- |
| the database is away | events wait in Redis, publishing is not affected; retried with growing pauses |
| it is away for this router alone | the turn is given back after every failure, and another router takes it |
| it takes too long over the events of one tag | those of the others are written without them, one tag at a time |
| Redis is full | what waits is written all the same, which gives it room (``router/turn.py``) |
| more than ``ARCHIVE_MAX_BYTES`` wait | the script drops the oldest; noticed by the gap in the ids, counted, logged |
| the database refuses an event, or it cannot be read | set aside with its reason, in a stream of its own |
| this process dies after the commit | the next one writes the same again, which changes nothing |
| Redis has forgotten entries, or came back older | what is there is written; repetitions change nothing |
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from router.archive_batch import Event
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore
from router.archive_stream import ArchiveStream, Waiting
from router.turn import TURN_MS
from shared.errors import DatabaseUnavailable, OutcomeUnknown, RedisError
from shared.keys import TAGS, Keys
from shared.link import Link
from shared.scripts import Scripts
from shared.tasks import outcomes

logger = logging.getLogger(__name__)

_INTERVAL: Final = 0.2  # s between reads: entries that arrive in between are written together
_TURNS: Final = TURN_MS / 5000  # s between attempts to take turns, or to keep them
_BATCH_EVENTS: Final = 500  # about as many in a transaction
_PAUSES: Final = (0.2, 2.0)  # s; first and longest pause while the database is away

_T = TypeVar("_T")


class Archiver:
    """Archives the events of all tags for which this router has the turn."""

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, store: ArchiveStore, counts: ArchiveCounts) -> None:
        self.counts = counts
        self._store = store
        self._streams = [ArchiveStream(link, scripts, keys, tag, counts) for tag in TAGS]
        self._mine: list[ArchiveStream] = []  # those for which this router has the turn
        self._turns_due = 0.0
        self._pause = _PAUSES[0]
        self._patience = link.timeout / 3

    async def run(self) -> None:
        """Archive until cancelled."""
        try:
            while True:
                pause = await self._round()
                await asyncio.sleep(pause)
        finally:
            await self._give_back()

    async def _round(self) -> float:
        """Archive what waits, or the beginning of it; return after how many seconds to look again."""
        await self._keep_turns()
        found = await self._answers({stream: stream.read for stream in self._mine})
        waiting = [each for each in found.values() if each is not None]
        more = False
        try:
            for batch in _batches(waiting, 1 if self.counts.refused else _BATCH_EVENTS):
                await self._keep_turns()
                more = await self._archive(batch) or more
        except DatabaseUnavailable as exc:
            self._note_failure(exc)
            await self._give_back()  # another router may reach it
            # Each tag by itself from now on, and another one first: it may be one tag's events that are not taken.
            self._streams.append(self._streams.pop(0))
            pause, self._pause = self._pause, min(self._pause * 2, _PAUSES[1])
            return pause
        finally:
            for each in waiting:
                self.counts.lags[each.stream.tag] = _age(each.events[0])
        if waiting:
            self._note_success()
        return 0.0 if more else _INTERVAL

    async def _keep_turns(self) -> None:
        if time.monotonic() >= self._turns_due:
            self._turns_due = time.monotonic() + _TURNS
            taken = await self._answers({stream: stream.take_turn for stream in self._streams})
            self._mine = [stream for stream, is_mine in taken.items() if is_mine]

    async def _give_back(self) -> None:
        self._mine, self._turns_due = [], 0.0
        # All of them: some may have been taken without an answer that says so.
        await asyncio.gather(*(stream.turn.give_back() for stream in self._streams))

    async def _archive(self, batch: Sequence[Waiting]) -> bool:
        """Write a batch and take it off; return whether many other events are likely to wait behind it."""
        written = await self._store.write([event for found in batch for event in found.events])
        self.counts.archived += written.archived
        self.counts.repeated += written.repeated
        refused: dict[str, list[tuple[Event, str]]] = {found.stream.tag: [] for found in batch}
        for event, reason in written.refused:
            refused[event.tag].append((event, reason))
        settled = await self._answers(
            {found.stream: partial(found.stream.settle, found.last, refused[found.stream.tag]) for found in batch}
        )
        # What could not be taken off would be read again at once.
        return any(found.more for found in batch if found.stream in settled)

    async def _answers(self, calls: Mapping[ArchiveStream, Callable[[], Awaitable[_T]]]) -> dict[ArchiveStream, _T]:
        """Return the results of those whose server answers.

        A tag whose server is away keeps no other one waiting. One whose server hangs does, but for less time than it
        takes a connection to count as hung.
        """
        outcome = await outcomes(*(_in_time(call, self._patience) for call in calls.values()))
        results = dict(zip(calls, outcome, strict=True))
        for stream, result in results.items():
            if isinstance(result, RedisError):
                logger.debug("archiver waits for redis", extra={"tag": stream.tag, "error": str(result)})
        return {stream: result for stream, result in results.items() if not isinstance(result, RedisError)}

    def _note_failure(self, exc: DatabaseUnavailable) -> None:
        self.counts.failures += 1
        if not self.counts.refused:
            self.counts.refused = True
            logger.error("the inbox's database is away; events wait in redis", extra={"error": exc.reason})

    def _note_success(self) -> None:
        self._pause = _PAUSES[0]
        if self.counts.refused:
            self.counts.refused = False
            logger.warning("the inbox's database is back")


async def _in_time(call: Callable[[], Awaitable[_T]], patience: float) -> _T:
    try:
        async with asyncio.timeout(patience):
            return await call()
    except TimeoutError:
        raise OutcomeUnknown("no answer in time") from None


def _batches(waiting: Iterable[Waiting], enough: int) -> Iterator[list[Waiting]]:
    """Join what waits in several tags until it is enough events for a transaction."""
    batch: list[Waiting] = []
    for found in waiting:
        batch.append(found)
        if sum(len(each.events) for each in batch) >= enough:
            yield batch
            batch = []
    if batch:
        yield batch


def _age(oldest: Event) -> float:
    """Return for how many seconds an event has waited; 0 if it cannot be read."""
    return max(0.0, time.time() - oldest.row["published_at"] / 1e6) if oldest.row is not None else 0.0
