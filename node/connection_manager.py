"""The sessions and feeds of this node, and which session receives which feed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from node.counters import NodeCounters
from node.deliveries import Deliveries
from node.feed import Feed, SharedFeed, Spawn
from node.frames import text_frame
from node.history import History
from node.session import Session
from shared.ids import ADMIN, ALL, Position, user_id, user_stream
from shared.keys import SHARED_TAG, bucket
from shared.messages import prepare
from shared.stats import Counters


class ConnectionManager:
    """The connections of one node, with the interface that the platform knows.

    What its ``send`` methods send goes to clients of this node that are up to date, now, and bears no id: it is not
    kept and not repeated. What must reach its audience is published through a router.

    Args:
        changed: called with the user whose connections changed, or None if an admin's did.
        deliveries: is told of sampled events, if any are.
    """

    def __init__(
        self,
        history: History,
        counters: NodeCounters,
        spawn: Spawn,
        changed: Callable[[str | None], None],
        deliveries: Deliveries | None = None,
    ) -> None:
        self._changed = changed
        self._to_feeds = (history, counters, spawn, deliveries)
        self.all = SharedFeed(ALL, SHARED_TAG, *self._to_feeds)
        self.admin = SharedFeed(ADMIN, SHARED_TAG, *self._to_feeds)
        self._feeds: dict[str, Feed] = {ALL: self.all, ADMIN: self.admin}
        self._user_connections = 0

    # --- the platform's interface

    def connect(
        self, session: Session, *, user_id: str | None = None, is_admin: bool = False
    ) -> tuple[Feed, SharedFeed]:
        """Add a session, a user's or an admin's, and return the feeds that it receives, its own first.

        To be called before the user is registered: then the feed notices what is published in between.
        """
        if (user_id is None) != is_admin:
            raise ValueError("a connection is either a user's (user_id=…) or an admin's (is_admin=True)")
        own = self.admin if user_id is None else self._user_feed(user_id)
        own.add(session)
        self.all.add(session)
        session.feeds = (own, self.all)
        self._user_connections += user_id is not None
        self._changed(user_id)
        return own, self.all

    def disconnect(self, session: Session) -> None:
        """Remove a session from its feeds and from the counts. Doing it twice does no harm."""
        feeds, session.feeds = session.feeds, ()
        for feed in feeds:
            feed.remove(session)
        if not feeds:
            return
        own = feeds[0]
        if own is self.admin:
            self._changed(None)
            return
        self._user_connections -= 1
        if not own.sessions:
            del self._feeds[own.stream]
        self._changed(session.user_id)

    async def send_personal_message(self, message: dict[str, Any], user_id: int | str) -> int:
        """Send to a user's connections here; return to how many. Raises ``InvalidMessage``."""
        feed = self.feed_of(user_id)
        return feed.write_to_live(_frame(message)) if feed is not None else 0

    async def send_admin_message(self, message: dict[str, Any]) -> int:
        """Send to the admins here; return to how many. Raises ``InvalidMessage``."""
        return self.admin.write_to_live(_frame(message))

    async def broadcast(self, message: dict[str, Any]) -> int:
        """Send to every connection here; return to how many. Raises ``InvalidMessage``."""
        return self.all.write_to_live(_frame(message))

    def get_connection_count(self) -> dict[str, int]:
        """Return the four counters of this node alone."""
        return Counters(self.user_count(), *self.connection_counts()).as_json()

    # --- looking

    @property
    def sessions(self) -> list[Session]:
        """All sessions that have feeds."""
        return list(self.all.sessions)

    @property
    def feeds(self) -> list[Feed]:
        return list(self._feeds.values())

    def feed(self, stream: str) -> Feed | None:
        return self._feeds.get(stream)

    def feed_of(self, user: int | str) -> Feed | None:
        return self._feeds.get(user_stream(user_id(user)))

    def compare(self, user: str, top: Position) -> None:
        """Compare a user's feed with its stream's top in Redis; a feed that is behind reads what it missed."""
        feed = self._feeds.get(user_stream(user))
        if feed is not None and feed.top is not None:
            feed.compare(top)

    def sessions_of(self, user: str) -> list[Session]:
        """Return a user's sessions on both endpoints."""
        own = self.feed_of(user)
        admins = (session for session in self.admin.sessions if session.user_id == user)
        return [*(own.sessions if own is not None else ()), *admins]

    def user_connections_of(self, user: str) -> int:
        own = self.feed_of(user)
        return len(own.sessions) if own is not None else 0

    def connected_users(self) -> list[str]:
        return list({session.user_id for session in self.all.sessions if not session.is_admin})

    def user_count(self) -> int:
        return len(self._feeds) - 2

    def connection_counts(self) -> tuple[int, int]:
        """Return user and admin connections."""
        return self._user_connections, len(self.admin.sessions)

    def _user_feed(self, user: str) -> Feed:
        """Return the feed of a user's stream; a new one is not open until its registration tells the stream's top."""
        stream = user_stream(user)
        feed = self._feeds.get(stream)
        if feed is None:
            feed = self._feeds[stream] = Feed(stream, bucket(user), *self._to_feeds)
        return feed


def _frame(message: dict[str, Any]) -> bytes:
    return text_frame(prepare(message, now_us=int(time.time() * 1e6)).payload + b"}")
