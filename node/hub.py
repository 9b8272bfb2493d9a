"""Connects the bus, the feeds, the sessions and the rest of the node.

bus ──envelope──▶ hub ──event──▶ feed ──one frame──▶ every live session
│                └─ behind? ──▶ catch_up ──▶ history
client ──command──▶ session ──▶ hub (its SessionHost)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic_core import from_json, to_json

from node import inbox_notice
from node.acks import Acknowledgements
from node.catch_up import CatchUp
from node.connection_manager import ConnectionManager
from node.counters import NodeCounters
from node.deliveries import Deliveries
from node.feed import Feed
from node.frames import Frame, text_frame
from node.history import History
from node.limits import CommandLimiter
from node.session import Session
from node.session_log import SessionLog
from shared import envelope, trace_context
from shared.auth import TokenVerifier
from shared.close_codes import CloseCode
from shared.errors import InvalidToken, KeysUnavailable
from shared.ids import Position, user_id
from shared.server_clock import ServerClock
from shared.stats import Counters
from shared.tracing import SAMPLED_ENDS, Tracing

logger = logging.getLogger(__name__)

_MESSAGES = frozenset({envelope.EVENT, envelope.STATE})
_KNOWN_CODES = frozenset(CloseCode) | {1000, 1001, 1005, 1006}


class Hub:
    """The ``SessionHost`` of this node's sessions, and the receiver of its bus.

    Args:
        stats: returns the cluster's counters as this node should show them.
        changed: called with the user whose connections changed, or None if an admin's did.
        missed: called when a publish could not be read, so that its events are looked for in Redis. Returns whether it
            was the first since the last look.
        clock: Redis's, by which it is measured how long messages took.
    """

    def __init__(
        self,
        history: History,
        verifier: TokenVerifier,
        *,
        stats: Callable[[], Counters],
        changed: Callable[[str | None], None],
        missed: Callable[[], bool],
        frame_max_bytes: int,
        commands_per_second: int,
        state_ttl: float,
        clock: ServerClock,
        tracing: Tracing | None = None,
    ) -> None:
        self.frame_max_bytes = frame_max_bytes
        self.stats = stats
        self.counters = NodeCounters(clock)
        self.catch_up = CatchUp()
        self.acks = Acknowledgements(tracing) if tracing is not None else None
        self._deliveries = Deliveries(tracing, self.counters, self.acks) if tracing and self.acks else None
        self.connections = ConnectionManager(history, self.counters, self.spawn, changed, self._deliveries)
        self.closing_sessions: set[Session] = set()
        self.now = asyncio.get_running_loop().time
        self.log = SessionLog(self.connections, stats, self.now)
        self._verbose = logger.isEnabledFor(logging.DEBUG)
        self._missed = missed
        self._verifier, self._state_ttl = verifier, state_ttl
        self._limiter = CommandLimiter(commands_per_second)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something short as a task that the hub owns."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the hub failed", exc_info=task.exception())

    # --- the sessions' SessionHost

    def may_command(self, user_id: str) -> bool:
        return self._limiter.allow(user_id, self.now())

    def stats_frame(self) -> bytes:
        return text_frame(to_json({"type": "stats", **self.stats().as_json()}))

    def refresh(self, session: Session, token: str) -> None:
        self.spawn(self._refresh(session, token))

    async def _refresh(self, session: Session, token: str) -> None:
        try:
            session.refreshed(await self._verifier.verify(token))
        except (InvalidToken, KeysUnavailable):
            session.refreshed(None)

    def behind(self, session: Session) -> None:
        self.catch_up.start(session)

    def fell_behind(self) -> None:
        self.counters.fell_behind += 1

    def closing(self, session: Session) -> None:
        self.closing_sessions.add(session)
        self.connections.disconnect(session)
        self.log.disconnected(session)

    def closed(self, session: Session) -> None:
        self.closing_sessions.discard(session)
        code = session.close_code  # a client may choose any of thousands: those of its own are one label
        self.counters.closed[str(code) if code in _KNOWN_CODES else "other"] += 1

    def acknowledged(self, session: Session, frame: Frame) -> bool:
        return self.acks is not None and self.acks.take(session, frame)

    # --- the bus

    def hear(self, data: bytes) -> None:
        """Take one publish from the bus; events of one that cannot be read are looked for in history."""
        deliveries = self._deliveries
        try:
            for message in envelope.read(data):
                if deliveries is None or message.traceparent[-1] not in SAMPLED_ENDS:
                    self._hear(message)
                else:
                    deliveries.hear(self.connections, message, self._hear)
        except (ValueError, LookupError) as exc:
            self.counters.unreadable += 1
            if self._missed():  # a router of another version may send thousands of them
                logger.error("unreadable on the bus", extra={"error": str(exc)})
        if deliveries is not None:
            deliveries.flush()

    def _hear(self, message: envelope.Envelope) -> None:
        # Taken apart at once: each field of a named tuple that is asked for by name costs as much as this.
        kind, stream, position, published_at, _, expires_at, state, payload = message
        if kind == envelope.CONTROL:
            self._obey(from_json(payload), message.traceparent)
            return
        if kind not in _MESSAGES:
            raise envelope.UnreadableEnvelope(f"no kind that we know: {kind!r}")
        feed = self.connections.feed(stream.decode())
        if feed is None:
            return
        if state != envelope.NONE:
            self._hear_state(feed, message)
        if kind == envelope.EVENT:
            expires = None if expires_at == envelope.NONE else int(expires_at)
            written = feed.hear(Position.parse(position), payload, expires)
            if written:
                feed.times.add(payload, published_at, written)
        if self._verbose:
            self._tell(message, feed)

    def _tell(self, message: envelope.Envelope, feed: Feed) -> None:
        """Log one message from the bus, without its content."""
        logger.debug(
            "message heard",
            extra={
                "stream": feed.stream,
                "position": message.position.decode(),
                "connections": len(feed.sessions),
                "seconds": round(time.time() - int(message.published_at) / 1e6, 4),
                "trace_id": trace_context.trace_id_of(message.traceparent.decode()),
            },
        )

    def _hear_state(self, feed: Feed, message: envelope.Envelope) -> None:
        video, _, revision = message.state.decode().partition("@")
        ends_at = time.time() + self._state_ttl
        if message.kind != envelope.STATE:
            feed.end_state(int(video), Position.parse(revision), ends_at)
            return
        written = feed.hear_state(int(video), Position.parse(revision), message.payload, ends_at)
        if written is None:
            self.counters.stale += 1
            return
        self.counters.conflated += len(feed.sessions) - written
        if written:
            feed.times.add(message.payload, message.published_at, written)

    def _obey(self, order: Any, traceparent: bytes) -> None:
        if isinstance(order, dict) and "end" in order:
            self.end_user(user_id(order["end"]), traceparent=traceparent.decode())
        elif isinstance(order, dict) and "inbox" in order:
            inbox_notice.deliver(self.connections, order["inbox"])
        else:
            logger.warning("unknown order on the bus")

    def end_user(
        self,
        user: str,
        code: CloseCode = CloseCode.UNAUTHENTICATED,
        reason: str = "ended by an administrator",
        traceparent: str = "",
    ) -> None:
        """Close every connection of a user, on both endpoints; unless told otherwise, on behalf of an administrator."""
        sessions = self.connections.sessions_of(user)
        for session in sessions:
            session.close(code, reason)
        if sessions:
            self.log.ended(user, len(sessions), reason, trace_context.trace_id_of(traceparent))

    # --- the end

    def cancel_tasks(self) -> None:
        """Cancel what still runs for sessions that have gone."""
        for task in self._tasks:
            task.cancel()
