"""One stream of events as this node follows it.

A feed has one ``top``, the position up to which every live session has everything. It moves in two ways only: by the
next event of the same epoch from the bus, or by reading history. While the feed opens or reads history, events from the
bus only mark it dirty, and it reads once more. So lost, doubled and swapped events are recognised by their numbers:

| the bus brings | it is | the feed |
| --- | --- | --- |
| n + 1 of the same epoch | the next event | writes it to every live session |
| an n that it has | a repetition | drops it |
| anything else | a sign that something is missing | reads history from its top |

What history no longer has is lost for good; live sessions are told so by ``resync``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any, Final

from node.counters import NodeCounters
from node.frames import text_frame
from node.history import Entry, History, event_json
from node.state_table import StateTable
from node.tail import Tail
from shared.errors import RedisError
from shared.ids import ADMIN, ALL, Position, event_id

if TYPE_CHECKING:
    from node.deliveries import Deliveries
    from node.session import Session

logger = logging.getLogger(__name__)

_RETRY: Final = 0.5  # s between attempts to read history while Redis is away
_OVERTAKEN: Final = 600.0  # s; no publish is on its way on the bus for as long

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Feed:
    """A stream and the sessions that hear it.

    Args:
        tag: the hash tag under which the stream lives.
        spawn: runs a coroutine as a task that somebody owns.
        deliveries: is told of sampled events, if any are.

    Attributes:
        times: counts and durations of deliveries to this kind of audience.
    """

    __slots__ = (
        "_counters",
        "_deliveries",
        "_dirty",
        "_history",
        "_settled",
        "_spawn",
        "sessions",
        "states",
        "stream",
        "tag",
        "times",
        "top",
    )

    def __init__(
        self,
        stream: str,
        tag: str,
        history: History,
        counters: NodeCounters,
        spawn: Spawn,
        deliveries: Deliveries | None = None,
    ) -> None:
        self.stream, self.tag = stream, tag
        self.times = counters.delivery_times[stream if stream in {ADMIN, ALL} else "user"]
        self.top: Position | None = None
        self.states: StateTable | None = None
        self.sessions: Collection[Session] = self._no_sessions()
        self._history, self._counters, self._spawn, self._deliveries = history, counters, spawn, deliveries
        self._dirty = False
        self._settled: asyncio.Event | None = None

    def _no_sessions(self) -> Collection[Session]:
        return ()

    def add(self, session: Session) -> None:
        self.sessions = (*self.sessions, session)

    def remove(self, session: Session) -> None:
        self.sessions = tuple(other for other in self.sessions if other is not session)

    @property
    def settled(self) -> bool:
        """Whether the feed is open and not reading history: its top is reliable until the next await."""
        return self.top is not None and self._settled is None

    @property
    def position(self) -> Position:
        """The top of a feed that is open."""
        assert self.top is not None
        return self.top

    def open(self, top: Position) -> None:
        """Begin at the stream's newest position as of a moment when publishes were already sent to this node."""
        if self.top is None:
            self.top = top
            if self._dirty:
                self.catch_up("opened")

    def hear(self, position: Position, payload: bytes, expires_at: int | None) -> int:
        """Take an event from the bus; return to how many sessions it was written."""
        top = self.top
        if top is None or self._settled is not None:
            self._dirty = True
        elif position == (top.epoch, top.n + 1):
            return self._advance(position, payload, expires_at)
        elif position <= top and position.n <= top.n:
            self._counters.repeated += 1
        else:
            self.catch_up("gap")
        return 0

    def hear_state(self, video_id: int, revision: Position, payload: bytes, ends_at: float) -> int | None:
        """Take a state from the bus; return to how many sessions it was written, None if it is not newer."""
        if self.states is None:
            self.states = StateTable()
        frame = text_frame(payload + b"}")
        return self.write_to_live(frame) if self.states.put(video_id, revision, frame, ends_at) else None

    def read_state(self, video_id: int, revision: Position, payload: bytes, ends_at: float) -> None:
        """Take a state from the table in Redis; most are known already."""
        self._counters.caught_up += self.hear_state(video_id, revision, payload, ends_at) or 0

    def end_state(self, video_id: int, revision: Position, ends_at: float) -> None:
        """Note that a transcode has ended: its last progress is no longer shown to newcomers."""
        if self.states is not None:
            self.states.put(video_id, revision, None, ends_at)

    def _end_overtaken(self, video_id: int, revision: Position) -> None:
        """Note an end that was read from history: older progress may still arrive from the bus."""
        if self.states is None and self.sessions:
            self.states = StateTable()
        self.end_state(video_id, revision, time.time() + _OVERTAKEN)

    def compare(self, top: Position) -> None:
        """Take note of the stream's newest position as Redis tells it."""
        if not self.settled:
            self._dirty = True
        elif top.epoch != self.position.epoch or top.n > self.position.n:
            self.catch_up("compared")

    def catch_up(self, reason: str) -> None:
        """Read what the bus did not bring; at most one reader is under way.

        Args:
            reason: how the loss was noticed, for the count: ``opened``, ``gap``, ``compared``, ``client``.
        """
        self._dirty = True
        if self._settled is None and self.top is not None:
            self._settled = asyncio.Event()
            self._counters.repairs[reason] += 1
            self._spawn(self._read_up())

    async def wait_settled(self) -> None:
        while self._settled is not None:
            await self._settled.wait()

    async def _read_up(self) -> None:
        began_at = time.monotonic()
        try:
            while self._dirty:
                self._dirty = False
                try:
                    page = await self._history.read(self.tag, self.stream, self.position)
                except RedisError:
                    self._dirty = True
                    await asyncio.sleep(_RETRY)
                    continue
                self._take(page.top, page.entries)
                if page.entries and self.position.n < page.top.n:
                    self._dirty = True
        finally:
            settled, self._settled = self._settled, None
            if settled is not None:
                settled.set()
            self._counters.repair_times.add(time.monotonic() - began_at)

    def _take(self, top: Position, entries: list[Entry]) -> None:
        if not entries:
            if top.n == 0 == self.position.n:  # nothing was ever sent here, only the epoch is another
                self.top = top
            elif top > self.position or top.n > self.position.n:
                self._resync(top)
            # Else the top is below ours: Redis has forgotten events that we have written. Do not go back: a copy of one
            # that is still on its way would be written twice. The next event has a new epoch and shows what is missing.
            return
        first = entries[0].position
        if not entries[0].follows(self.position):
            self._resync(Position(first.epoch, first.n - 1))
        for entry in entries:
            if entry.ends is not None:
                self._end_overtaken(*entry.ends)
            if entry.trace is None or self._deliveries is None:
                self._counters.caught_up += self._advance(entry.position, entry.payload, entry.expires_at)
            else:
                self._counters.caught_up += self._deliveries.repair(self, entry, self._advance)
        if self._deliveries is not None:
            self._deliveries.flush()

    def _resync(self, position: Position) -> None:
        """Go on from a position although events before it are missing: history no longer has them."""
        told = {"stream": self.stream, "top": str(self.top), "next": str(position), "connections": len(self.sessions)}
        logger.warning("events lost for good", extra=told)
        self._counters.resyncs += 1
        self.top = position
        self.write_to_live(self.resync_frame())

    def resync_frame(self) -> bytes:
        """Return the frame that reports events lost for good, and the position from which the stream goes on."""
        return text_frame(b'{"type":"resync","cursor":"%s"}' % event_id(self.stream, self.position).encode())

    def _advance(self, position: Position, payload: bytes, expires_at: int | None) -> int:
        # The top moves first: a session that stalls during this write has the event in its buffer already.
        self.top = position
        if expires_at is not None and expires_at <= time.time() * 1000:
            self._counters.expired += 1
            return 0
        frame = self.frame(position, payload)
        self._remember(position, frame, expires_at)
        return self.write_to_live(frame)

    def frame(self, position: Position, payload: bytes) -> bytes:
        """Return the one frame that everybody gets."""
        return text_frame(event_json(self.stream, position, payload))

    def _remember(self, position: Position, frame: bytes, expires_at: int | None) -> None:
        """Keep a frame for sessions that come later; a user's stream is read from Redis instead."""

    def write_to_live(self, frame: bytes) -> int:
        """Write a frame to every session that is up to date; return to how many."""
        written = 0
        for session in self.sessions:
            if session.live:
                written += session.write(frame)
        return written

    def write_to(self, session: Session, frame: bytes) -> None:
        """Write a frame to a session that catches up."""
        self._counters.caught_up += 1
        session.write(frame)

    async def read_after(self, position: Position, count: int) -> tuple[list[tuple[Position, bytes]], Position] | None:
        """Return frames after a position, and the position they lead to; None if history does not reach back to it.

        Args:
            count: of how many events at most.

        Raises:
            RedisError: history cannot be read just now.
        """
        page = await self._history.read(self.tag, self.stream, position, count)
        if not page.entries:
            return ([], page.top) if page.top == position or page.top.n == 0 == position.n else None
        if not page.entries[0].follows(position):
            return None
        now = time.time() * 1000
        alive = (entry for entry in page.entries if entry.expires_at is None or entry.expires_at > now)
        frames = [(entry.position, self.frame(entry.position, entry.payload)) for entry in alive]
        return frames, page.entries[-1].position

    async def is_good(self, since: Position) -> bool:
        """Whether a client that has everything up to ``since`` can get everything after it."""
        return since == self.top or await self._history.is_good(self.tag, self.stream, since)


class SharedFeed(Feed):
    """A stream that many sessions hear: ``admin`` or ``all``. Keeps its newest frames in memory."""

    __slots__ = ("_tail",)

    sessions: dict[Session, None]  # with thousands of them, a tuple would be slow to change

    def __init__(self, stream: str, tag: str, *parts: Any) -> None:
        super().__init__(stream, tag, *parts)
        self._tail = Tail()

    def _no_sessions(self) -> dict[Session, None]:
        return {}

    def add(self, session: Session) -> None:
        self.sessions[session] = None

    def remove(self, session: Session) -> None:
        self.sessions.pop(session, None)

    def _remember(self, position: Position, frame: bytes, expires_at: int | None) -> None:
        self._tail.append(position, frame, expires_at)

    def _resync(self, position: Position) -> None:
        self._tail.clear()
        super()._resync(position)

    async def read_after(self, position: Position, count: int) -> tuple[list[tuple[Position, bytes]], Position] | None:
        from_memory = self._tail.after(position, count, time.time() * 1000)
        if from_memory is None:
            return await super().read_after(position, count)
        frames, leads_to = from_memory
        # Events after the newest frame, if any, had expired when they arrived.
        return frames, self.position if leads_to == self._tail.newest else leads_to

    async def is_good(self, since: Position) -> bool:
        return since in self._tail or await super().is_good(since)
