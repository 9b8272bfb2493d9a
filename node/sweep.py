"""One timer that looks over all sessions once a second; no timer per connection."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Final

from node.hub import Hub
from node.progress import Progress
from node.session import Phase, Session
from shared.close_codes import CloseCode
from shared.keys import SHARED_TAG, TAGS, bucket
from shared.link import Link

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0  # s
_STALLED_LOOP: Final = 2.0  # s by which the timer may be late before heartbeats are believed to wait in buffers
_CLOSING_TIMEOUT: Final = 5.0  # s for the client's close frame
_AWAY_TOO_LONG: Final = 30.0  # s without Redis after which clients are sent elsewhere
_AGE_RETRY_MS: Final = (100, 100 + int(INTERVAL * 1000))  # those of one round come back over the time to the next
_EXPIRE_ROUNDS: Final = 60
_AWAY_SPREAD: Final = 20  # rounds over which they are


class Sweep:
    def __init__(
        self, hub: Hub, progress: Progress, link: Link, *, heartbeat_timeout: float, slow_client_timeout: float
    ) -> None:
        self._hub, self._progress, self._link = hub, progress, link
        self._heartbeat_timeout, self._slow_client_timeout = heartbeat_timeout, slow_client_timeout
        self.slow = 0  # clients whose buffer had not drained when they were last looked at
        self._rounds = 0
        self._sending_away = False

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            late = loop.time() - due
            # Not after a stall (a pause, a long collection): what clients sent meanwhile has not been read yet.
            self.sweep(loop.time(), heartbeats=late < _STALLED_LOOP)
            await self._progress.tend()
            self._expire_states()

    def sweep(self, now: float, *, heartbeats: bool) -> None:
        """Close sessions that are silent, expired, too slow or too old; abort those that do not finish closing."""
        wall, slow = time.time(), 0
        for session in self._hub.connections.sessions:
            if session.phase is Phase.OPENING:
                continue
            if session.expires_at <= wall:
                session.close(CloseCode.UNAUTHENTICATED, "token expired")
            elif not session.writable:
                slow += 1
                if now - session.since > self._slow_client_timeout:
                    self._hub.counters.stalled += 1
                    self._hub.log.cut_off(session, now - session.since)
                    session.abort(CloseCode.TRY_AGAIN_LATER)
            elif heartbeats and session.speaks and now - session.heard_at > self._heartbeat_timeout:
                session.close(CloseCode.NO_HEARTBEAT, "no heartbeat")
            elif session.leaves_at <= now and self._link.connected:  # without Redis, nobody else could take it in
                slot = random.randint(*_AGE_RETRY_MS)  # noqa: S311
                session.send_away(CloseCode.SERVICE_RESTART, "connected for long enough", slot)
            elif not session.speaks:
                session.beat(now)
        self.slow = slow
        for session in [s for s in self._hub.closing_sessions if now - s.since > _CLOSING_TIMEOUT]:
            session.abort(session.close_code)
        away = [tag for tag in TAGS if self._link.of(tag).down_for > _AWAY_TOO_LONG]
        if away:
            self._send_away(away)
        else:
            self._sending_away = False

    def _expire_states(self) -> None:
        """Forget, once a minute, which transcodes have had no news for too long."""
        self._rounds += 1
        if self._rounds % _EXPIRE_ROUNDS == 0:
            for feed in self._hub.connections.feeds:
                if feed.states is not None:
                    feed.states.expire(time.time())

    def _send_away(self, tags: list[str]) -> None:
        """Send clients away, a slice at a time, when Redis has been away for long: other nodes may reach it.

        Args:
            tags: hash tags that cannot be reached; of a Redis Cluster perhaps some users' only.
        """
        sessions: list[Session] = [
            session
            for session in self._hub.connections.sessions
            if SHARED_TAG in tags or (not session.is_admin and bucket(session.user_id) in tags)
        ]
        if sessions and not self._sending_away:
            self._sending_away = True
            told = {"seconds": round(self._link.down_for, 1), "connections": len(sessions)}
            logger.error("redis is away for long; clients are sent elsewhere", extra=told)
        random.shuffle(sessions)
        for session in sessions[: max(len(sessions) // _AWAY_SPREAD, 50)]:
            slot = random.randint(1000, 10_000)  # noqa: S311
            session.send_away(CloseCode.TRY_AGAIN_LATER, "the cluster is away", slot)
