"""The sessions of this node and the feeds they hear.

bus ──envelope──▶ hub ──event──▶ feed ──one frame──▶ every live session
│                └─ behind? ──▶ catch_up ──▶ history
client ──command──▶ session ──▶ hub (its House)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any, Final

from pydantic_core import from_json, to_json

from node.catch_up import CatchUp
from node.feed import Feed, SharedFeed
from node.frames import text_frame
from node.history import History
from node.limits import CommandLimiter
from node.membership import Membership, SharedTops
from node.progress import Progress
from node.session import Session
from shared import envelope
from shared.auth import TokenVerifier
from shared.caretaker import Caretaker
from shared.close_codes import CloseCode
from shared.errors import InvalidToken, KeysUnavailable, RedisError
from shared.ids import ADMIN, ALL, Position, user_stream
from shared.keys import SHARED_TAG, bucket
from shared.stats import Counters

logger = logging.getLogger(__name__)

_COMPARE_INTERVAL: Final = 10.0  # s


class HubCounters:
    """What happened here, as plain numbers: read by metrics, never by decisions."""

    def __init__(self) -> None:
        self.delivered = self.repeated = self.repairs = self.resyncs = self.expired = 0
        self.opened: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()
        self.unreadable = 0
        self.stalled = 0
        self.refused: Counter[str] = Counter()


class Hub:
    """Holds every session and feed of a node; the ``House`` of its sessions, the ``Household`` of its membership."""

    def __init__(
        self,
        history: History,
        verifier: TokenVerifier,
        *,
        frame_max_bytes: int,
        commands_per_second: int,
        state_ttl: float,
    ) -> None:
        self.frame_max_bytes = frame_max_bytes
        self.counters = HubCounters()
        self.catch_up = CatchUp()
        self.membership: Membership  # set by whoever builds both: each needs the other
        self.caretaker: Caretaker
        self.progress: Progress
        self._history, self._verifier, self._state_ttl = history, verifier, state_ttl
        self._limiter = CommandLimiter(commands_per_second)
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._tasks: set[asyncio.Task[None]] = set()
        self.all = SharedFeed(ALL, SHARED_TAG, history, self.counters, self.spawn)
        self.admin = SharedFeed(ADMIN, SHARED_TAG, history, self.counters, self.spawn)
        self._feeds: dict[str, Feed] = {ALL: self.all, ADMIN: self.admin}
        self._user_connections = 0
        self.closing_sessions: set[Session] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something short as a task of the hub's own."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the hub failed", exc_info=task.exception())

    # --- sessions come and go

    def user_feed(self, user: str) -> Feed:
        """Return the feed of a user's stream; a fresh one is closed until its registration says where it stands."""
        stream = user_stream(user)
        feed = self._feeds.get(stream)
        if feed is None:
            feed = self._feeds[stream] = Feed(stream, bucket(user), self._history, self.counters, self.spawn)
        return feed

    def add(self, session: Session) -> tuple[Feed, ...]:
        """Count a session in and return the feeds it hears, first its own.

        Done before it is registered: what comes in between is seen by the feed.
        """
        own = self.admin if session.is_admin else self.user_feed(session.user_id)
        own.add(session)
        self.all.add(session)
        session.feeds = (own, self.all)
        if not session.is_admin:
            self._user_connections += 1
        self.membership.counts_changed()
        return session.feeds

    def closing(self, session: Session) -> None:
        """Take a session out of everything: it hears nothing any more."""
        self.closing_sessions.add(session)
        for feed in session.feeds:
            feed.remove(session)
        if not session.feeds:
            return
        own, session.feeds = session.feeds[0], ()
        if session.is_admin:
            self.membership.counts_changed()
            return
        self._user_connections -= 1
        if not own.sessions:
            del self._feeds[own.stream]
        self.membership.changed(session.user_id)

    def closed(self, session: Session) -> None:
        self.closing_sessions.discard(session)
        self.counters.closed[session.close_code] += 1

    def sessions(self) -> list[Session]:
        """Return every session that hears something."""
        return list(self.all.sessions)

    def end_user(self, user: str, *, blocked: bool) -> None:
        """Close every connection of a user, on both endpoints, on behalf of an administrator."""
        code, reason = (
            (CloseCode.FORBIDDEN, "blocked by an administrator")
            if blocked
            else (CloseCode.UNAUTHENTICATED, "ended by an administrator")
        )
        own = self._feeds.get(user_stream(user))
        admins = [session for session in self.admin.sessions if session.user_id == user]
        for session in (*(own.sessions if own is not None else ()), *admins):
            session.close(code, reason)

    # --- the sessions' House

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

    # --- the membership's Household

    def user_connections_of(self, user: str) -> int:
        feed = self._feeds.get(user_stream(user))
        return len(feed.sessions) if feed is not None else 0

    def connected_users(self) -> list[str]:
        return list({session.user_id for session in self.all.sessions if not session.is_admin})

    def user_count(self) -> int:
        return len(self._feeds) - 2

    def connection_counts(self) -> tuple[int, int]:
        return self._user_connections, len(self.admin.sessions)

    def see_tops(self, tops: SharedTops) -> None:
        for feed, top in ((self.all, tops.all), (self.admin, tops.admin)):
            if feed.top is None:
                feed.open(top)
            else:
                feed.compare(top)
        if self.progress.behind(tops.states):
            self.spawn(self.progress.catch_up(tops.states))

    @property
    def open(self) -> bool:
        """Whether clients can be served: the shared streams are known, and the cluster knows this node."""
        return self.all.top is not None and self.membership.held

    async def compare_tops(self) -> None:
        """Compare every feed with Redis: a loss with nothing after it is not seen in any other way."""
        by_tag: dict[str, list[Feed]] = defaultdict(list)
        for feed in self._feeds.values():
            if feed.top is not None:
                by_tag[feed.tag].append(feed)
        for tag, feeds in by_tag.items():
            try:
                tops = await self._history.tops(tag, [feed.stream for feed in feeds])
            except RedisError as exc:
                logger.debug("tops cannot be compared", extra={"error": str(exc)})
                return
            for feed, top in zip(feeds, tops, strict=True):
                feed.compare(top)

    async def watch_tops(self) -> None:
        """Compare every ten seconds until cancelled; 5,000 users cost the server 1.5 ms."""
        while True:
            await asyncio.sleep(_COMPARE_INTERVAL)
            await self.compare_tops()

    # --- the counters

    def stats(self) -> Counters:
        """Return the cluster's counters: the last sums, with what changed here since they were taken."""
        return self.membership.overlay.show(self.caretaker.stats, *self.connection_counts())

    # --- the bus

    def hear(self, data: bytes) -> None:
        """Take one publish of the bus."""
        try:
            for message in envelope.read(data):
                self._hear(message)
        except (ValueError, KeyError) as exc:
            self.counters.unreadable += 1
            logger.error("unreadable on the bus", extra={"error": str(exc)})

    def _hear(self, message: envelope.Envelope) -> None:
        if message.kind == envelope.CONTROL:
            self._obey(from_json(message.payload))
            return
        feed = self._feeds.get(message.stream.decode())
        if feed is None:
            return
        if message.state != envelope.NONE:
            self._hear_state(feed, message)
        if message.kind == envelope.EVENT:
            expires = None if message.expires_at == envelope.NONE else int(message.expires_at)
            feed.hear(Position.parse(message.position), message.payload, expires)

    def _hear_state(self, feed: Feed, message: envelope.Envelope) -> None:
        video, _, revision = message.state.decode().partition("@")
        ends_at = time.time() + self._state_ttl
        if message.kind == envelope.STATE:
            feed.hear_state(int(video), Position.parse(revision), message.payload, ends_at)
        else:
            feed.end_state(int(video), Position.parse(revision), ends_at)

    def _obey(self, order: dict[str, Any]) -> None:
        if "end" in order:
            self.end_user(order["end"], blocked=bool(order.get("blocked")))
        else:
            logger.warning("unknown order on the bus", extra={"order": sorted(order)})

    # --- the end

    async def close_all(self, code: int, reason: str) -> None:
        """Close every session at once, and cancel what still runs for them."""
        for session in self.sessions():
            session.close(code, reason)
        for task in self._tasks:
            task.cancel()

    def feeds_with_states(self) -> Iterator[Feed]:
        return (feed for feed in self._feeds.values() if feed.states is not None)
