"""Decides who may connect, and from which position: the same for sockets, event streams and waiting polls.

draining, or Redis away ..................... 1012 / 1013, and when to come back
no token, invalid, expired .................. 4401
not an admin, user unknown or blocked ....... 4403
node full ................................... 1013
too many connections of this user ........... 4429
else ........................................ a ``Welcome``
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json

from node.cursors import cursor_of, resume
from node.feed import Feed
from node.frames import text_frame
from node.hub import Hub
from node.membership import Membership
from node.progress import Progress
from node.registrar import Registration
from node.session import Phase, Session
from node.settings import NodeSettings
from node.states import catch_up_states
from node.user_check import UserCheck, Verdict
from shared.auth import Principal, TokenVerifier
from shared.close_codes import CloseCode
from shared.errors import InvalidToken, KeysUnavailable, RedisError
from shared.ids import Position, json_user_id
from shared.keys import SHARED_TAG, Keys
from shared.link import Link

_REGISTRATION_TIMEOUT: Final = 5.0  # s
_RETRY_AFTER_MS: Final = (1000, 5000)
_AGE_JITTER: Final = (0.9, 1.1)

Feeds = tuple[Feed, Feed]


class Refused(Exception):
    """The client may not connect: the connection ends with a close code.

    Attributes:
        retry_after_ms: told to the client before the close, if set.
    """

    def __init__(self, code: CloseCode, reason: str, retry_after_ms: int | None = None) -> None:
        self.code, self.reason, self.retry_after_ms = code, reason, retry_after_ms
        super().__init__(code, reason)


@dataclass(frozen=True, slots=True)
class Welcome:
    """How an admitted session begins.

    Attributes:
        frame: the first frame.
        cursors: from where it is brought up to date, one position per feed.
        recovered: None: the client gave no ``since``; True: all that it missed follows; False: it cannot be had.
    """

    frame: bytes
    feeds: Feeds
    cursors: list[Position]
    recovered: bool | None


class Gate:
    """Admits clients, whatever their transport."""

    def __init__(
        self,
        hub: Hub,
        membership: Membership,
        progress: Progress,
        verifier: TokenVerifier,
        user_check: UserCheck,
        link: Link,
        keys: Keys,
        settings: NodeSettings,
    ) -> None:
        self._hub, self._membership, self._progress = hub, membership, progress
        self._verifier, self._user_check = verifier, user_check
        self._link, self._keys, self._settings = link, keys, settings

    @property
    def draining(self) -> bool:
        return self._membership.draining

    async def admit(self, session: Session, token: str, since: str | None) -> Welcome | None:
        """Admit a session: it is registered, and its feeds take note of it; None if the client left meanwhile.

        Raises:
            Refused: it may not connect. If it was counted already, closing it undoes that.
        """
        self.check_room()
        principal = await self._principal(session, token)
        await self._check_user(principal.user_id)
        if session.phase is not Phase.OPENING:
            return None  # reset meanwhile: if it were counted now, nothing would ever undo that
        feeds = await self.enter(session, principal)
        try:
            recovered, cursors = await resume(feeds, since)
        except RedisError:
            raise _away() from None
        if session.phase is not Phase.OPENING:
            return None  # reset, or ended by the node: it is not counted any more
        self._check_draining()
        frame = self._connected(session, principal.username, recovered, cursors, since)
        return Welcome(frame, feeds, cursors, recovered)

    async def enter(self, session: Session, principal: Principal) -> Feeds:
        """Count and register a session; return its feeds once every publish reaches it and their states are current.

        Raises:
            Refused: it stays counted; closing it undoes that.
        """
        session.identify(principal)
        user = None if session.is_admin else principal.user_id
        own, everyone = self._hub.connections.connect(session, user_id=user, is_admin=session.is_admin)
        try:
            registration = await self._register(session, own)
            if session.is_admin:
                await self._progress.listen()
            else:
                own.open(registration.top)
                if registration.has_states:
                    # Even if the feed has them: this node may be deaf, and the client have seen newer ones elsewhere.
                    await catch_up_states(own, self._link, self._keys)
        except (RedisError, TimeoutError):
            raise _away() from None
        return own, everyone

    def welcome(self, session: Session, welcome: Welcome) -> None:
        """Send the first frame, and what was missed after it."""
        self._hub.counters.opened["admin" if session.is_admin else "user"] += 1
        if welcome.recovered is not None:
            self._hub.counters.resumed[welcome.recovered] += 1
        session.leaves_at = leaves_at(self._hub.now(), self._settings.connection_max_age)
        session.welcome(welcome.frame, welcome.feeds, welcome.cursors)
        self._hub.log.connected(session)
        self._hub.behind(session)

    def refuse(self, session: Session, refused: Refused) -> None:
        """Count and log a client that is refused, and end its connection."""
        self._hub.counters.refused[str(int(refused.code)), refused.reason] += 1
        self._hub.log.refused(refused.reason, admin=session.is_admin, code=refused.code, user=session.user_id)
        if session.phase is not Phase.OPENING:
            return
        if refused.retry_after_ms is not None:
            session.send_away(refused.code, refused.reason, refused.retry_after_ms)
        else:
            session.close(refused.code, refused.reason)

    # --- may it come in?

    def check_room(self) -> None:
        """Raise ``Refused`` if no client can be admitted just now."""
        self._check_draining()
        if not self._link.of(SHARED_TAG).connected:  # whether a user's bucket is there, its registration tells
            raise _away()
        if len(self._hub.connections.all.sessions) >= self._settings.node_max_connections:
            raise Refused(CloseCode.TRY_AGAIN_LATER, "this node is full", _retry_after())

    def _check_draining(self) -> None:
        if self._membership.draining:
            raise Refused(CloseCode.SERVICE_RESTART, "this node leaves", _retry_after())

    async def _principal(self, session: Session, token: str) -> Principal:
        try:
            principal = await self._verifier.verify(token)
        except InvalidToken as exc:
            raise Refused(CloseCode.UNAUTHENTICATED, str(exc)) from None
        except KeysUnavailable:
            raise Refused(CloseCode.TRY_AGAIN_LATER, "tokens cannot be judged just now", _retry_after()) from None
        if session.is_admin and not principal.is_admin:
            raise Refused(CloseCode.FORBIDDEN, "not an admin")
        return principal

    async def _check_user(self, user_id: str) -> None:
        verdict = await self._user_check(user_id)
        if verdict is Verdict.UNCERTAIN:
            raise Refused(CloseCode.TRY_AGAIN_LATER, verdict.value, _retry_after())
        if verdict is not Verdict.WELCOME:
            raise Refused(CloseCode.FORBIDDEN, verdict.value)

    async def _register(self, session: Session, own: Feed) -> Registration:
        limit = self._settings.max_connections_per_user
        if _rank(session, own) > limit:
            raise Refused(CloseCode.TOO_MANY, "too many connections")
        async with asyncio.timeout(_REGISTRATION_TIMEOUT):
            registration = await self._membership.register(session.user_id)
        if registration.blocked:
            raise Refused(CloseCode.FORBIDDEN, "user blocked")
        if not session.is_admin and registration.elsewhere + _rank(session, own) > limit:
            raise Refused(CloseCode.TOO_MANY, "too many connections")
        return registration

    def _connected(
        self,
        session: Session,
        username: str,
        recovered: bool | None,
        cursors: list[Position],
        since: str | None,
    ) -> bytes:
        kind, noun = ("admin_id", "管理员") if session.is_admin else ("user_id", "用户")
        return text_frame(
            to_json(
                {
                    "type": "connected",
                    "message": f"{noun} {username} 已连接",
                    kind: json_user_id(session.user_id),
                    "connection_stats": self._hub.stats().as_json(),
                    "recovered": recovered,
                    "cursor": since if recovered else cursor_of([feed.stream for feed in session.feeds], cursors),
                    "heartbeat_interval_ms": int(self._settings.heartbeat_interval * 1000),
                }
            )
        )


def _rank(session: Session, own: Feed) -> int:
    """Return the session's place among its user's connections here, from 1: over the limit, the earlier ones stay."""
    sessions = (other for other in own.sessions if other.user_id == session.user_id)
    return 1 + sum(1 for _ in itertools.takewhile(lambda other: other is not session, sessions))


def leaves_at(now: float, max_age: float | None) -> float:
    """Return when a connection that begins now has reached its maximum age.

    Give or take a tenth, so that clients that came together, after a roll-out for example, do not leave together.
    """
    return math.inf if max_age is None else now + max_age * random.uniform(*_AGE_JITTER)  # noqa: S311


def _away() -> Refused:
    return Refused(CloseCode.TRY_AGAIN_LATER, "the cluster is away", _retry_after())


def _retry_after() -> int:
    return random.randint(*_RETRY_AFTER_MS)  # noqa: S311  # spreads clients, hides nothing
