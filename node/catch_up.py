"""Bringing sessions to the tops of their feeds.

A client that connects with ``since`` and one that was slow are the same case: a session with cursors, for which history
is read until every cursor equals its feed's top. In that same loop step it turns live.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from node.history import PAGE
from node.session import Phase, Session
from shared.close_codes import CloseCode
from shared.errors import RedisError
from shared.ids import Position

if TYPE_CHECKING:
    from node.feed import Feed

logger = logging.getLogger(__name__)

_READERS: Final = 64  # sessions that read history at a time: a returning crowd must not starve those who are live
_RETRY: Final = 0.5  # s
_FIRST_PAGE: Final = 16  # events
_PAGE_BYTES: Final = 128 * 1024  # pages of this size grow no further: the kernel buffers as much for a slow client


class CatchUp:
    """Runs one short task per session that is behind; none for those that are live."""

    def __init__(self) -> None:
        self._readers = asyncio.Semaphore(_READERS)
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self.resyncs = 0

    def start(self, session: Session) -> None:
        """Bring a session to the tops of its feeds; without a task if it is there already."""
        if session in self._tasks or self._go_live(session):
            return
        task = asyncio.create_task(self._run(session))
        self._tasks[session] = task
        task.add_done_callback(lambda _: self._finished(session))

    def _finished(self, session: Session) -> None:
        task = self._tasks.pop(session)
        if not task.cancelled() and task.exception() is not None:
            logger.error("catching up failed", exc_info=task.exception())
            session.close(CloseCode.TRY_AGAIN_LATER, "catching up failed")
        elif session.phase is Phase.CATCHING_UP and session.writable:
            self.start(session)  # its buffer drained just as the task gave up

    @property
    def busy(self) -> int:
        return len(self._tasks)

    @staticmethod
    def _go_live(session: Session) -> bool:
        cursors, states_seen = session.cursors, session.states_seen
        if session.phase is not Phase.CATCHING_UP or not session.writable or cursors is None or states_seen is None:
            return False
        for feed, cursor in zip(session.feeds, cursors, strict=True):
            if not feed.settled or feed.top != cursor:
                return False
        for index, feed in enumerate(session.feeds):
            if feed.states is not None:
                for change, frame in feed.states.after(states_seen[index], time.time()):
                    feed.write_to(session, frame)
                    states_seen[index] = change
                    if not session.writable:  # one value may wait in its buffer, not one of every video
                        return False
                states_seen[index] = feed.states.changes
        if session.writable:
            session.go_live()
        return session.writable

    async def _run(self, session: Session) -> None:
        # A slow client takes a part of a page and returns here for the rest, which has to be read again. So pages start
        # small, and grow while the client keeps up.
        count = _FIRST_PAGE
        while _may_write(session):
            largest = 0
            for index, feed in enumerate(session.feeds):
                await feed.wait_settled()
                async with self._readers:
                    largest = max(largest, await self._advance(session, index, feed, count))
            if self._go_live(session):
                return
            if largest < _PAGE_BYTES:
                count = min(count * 2, PAGE)

    async def _advance(self, session: Session, index: int, feed: Feed, count: int) -> int:
        """Bring a session on by up to ``count`` events of one feed; return how many bytes they had."""
        cursors = session.cursors
        if not _may_write(session) or cursors is None or cursors[index] == feed.top:
            return 0
        if cursors[index] > feed.position:
            feed.catch_up("client")  # the client has events that this node has not received
            await feed.wait_settled()
            if _may_write(session) and cursors[index] > feed.position:
                self._resync(session, cursors, index, feed)
            return 0
        target = feed.position
        try:
            found = await feed.read_after(cursors[index], count)
        except RedisError:
            await asyncio.sleep(_RETRY)
            return 0
        if not _may_write(session):
            return 0
        # The feed had its top before we read: if history ends before that, it has forgotten events that the feed had.
        if found is None or (not found[0] and cursors[index] == found[1] < target):
            await feed.wait_settled()
            if _may_write(session):
                self._resync(session, cursors, index, feed)
            return 0
        entries, cursor = found
        for position, frame in entries:
            cursors[index] = position  # first: an event stream writes the new cursors into the frame's ``id:``
            feed.write_to(session, frame)
            if not session.writable:
                return 0
        cursors[index] = cursor
        return sum(len(frame) for _, frame in entries)

    def _resync(self, session: Session, cursors: list[Position], index: int, feed: Feed) -> None:
        """Tell a client that history no longer reaches back to where it was, and go on from the top."""
        self.resyncs += 1
        told = {"stream": feed.stream, "cursor": str(cursors[index]), "next": str(feed.position)}
        logger.info("client resynced", extra={**told, "user": session.user_id})
        cursors[index] = feed.position
        session.write(feed.resync_frame())


def _may_write(session: Session) -> bool:
    """Whether the session still catches up, and its write buffer has drained."""
    return session.phase is Phase.CATCHING_UP and session.writable
