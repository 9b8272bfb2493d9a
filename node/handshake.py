"""From an upgrade request to a session that hears its streams.

A browser cannot see why a handshake was refused, so almost everything is accepted first and then closed with a code:

    Origin not ours, no such path ............... HTTP 403, before the upgrade
    draining, or Redis away ..................... reconnect + 1012 / 1013
    no token, invalid, expired .................. 4401
    not an admin, user unknown or blocked ....... 4403
    node full ................................... 1013
    too many connections of this user ........... 4429
    else ........................................ ``connected``, then what was missed, then live
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from pydantic_core import to_json

from node.acks import Acks
from node.connect_span import Admission, connecting
from node.feed import Feed
from node.frames import text_frame
from node.hub import Hub
from node.membership import Membership, Registration
from node.progress import Progress
from node.session import Phase, Session
from node.settings import NodeSettings
from node.states import catch_up_states
from node.user_check import UserCheck, Verdict
from node.wire import take_over
from shared import trace_context
from shared.asgi import Receive, Scope, Send
from shared.auth import Principal, TokenVerifier
from shared.close_codes import CloseCode
from shared.errors import InvalidToken, KeysUnavailable, RedisError
from shared.ids import Position, event_id, json_user_id, parse_event_id
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.tracing import Tracing

USER_PATH: Final = "/api/v1/ws"
ADMIN_PATH: Final = "/api/v1/ws/admin"
SINCE_MAX_BYTES: Final = 512
_REGISTRATION_TIMEOUT: Final = 5.0  # s
_RETRY_AFTER_MS: Final = (1000, 5000)
_AGE_JITTER: Final = (0.9, 1.1)


class Refused(Exception):
    """The handshake ends with a close code.

    Attributes:
        retry_after_ms: told to the client before the close, if set.
    """

    def __init__(self, code: CloseCode, reason: str, retry_after_ms: int | None = None) -> None:
        self.code, self.reason, self.retry_after_ms = code, reason, retry_after_ms
        super().__init__(code, reason)


@dataclass(frozen=True, slots=True)
class _Request:
    """What an upgrade request says. The token appears in no log, trace or metric."""

    token: str
    since: str | None
    subprotocol: str | None
    acks: bool = False

    @classmethod
    def of(cls, scope: Scope) -> _Request:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20)
        token = query.get("token", [""])[0]
        offered = scope["subprotocols"]
        subprotocol = "bearer" if "bearer" in offered else None
        if not token and subprotocol is not None:
            others = [name for name in offered if name != "bearer"]
            token = others[0] if others else ""
        return cls(token, query.get("since", [None])[0], subprotocol, query.get("acks") == ["1"])


class Handshake:
    """Serves both WebSocket paths; an ASGI application."""

    def __init__(
        self,
        hub: Hub,
        membership: Membership,
        progress: Progress,
        verifier: TokenVerifier,
        user_check: UserCheck,
        link: RedisLink,
        keys: Keys,
        settings: NodeSettings,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._hub, self._membership, self._progress = hub, membership, progress
        self._verifier, self._user_check = verifier, user_check
        self._link, self._keys, self._settings = link, keys, settings
        self._origins = frozenset(settings.backend_cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one upgrade request; returns once the session lives on its own, or has been told why not."""
        if self._tracing is None:
            await self._serve(scope, receive, send)
        else:
            await connecting(self._tracing, scope, self._serve(scope, receive, send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> Admission:
        await receive()
        admin = scope["path"] == ADMIN_PATH
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace_context.continued(headers.get(b"traceparent", b"").decode("latin-1"))
        known = admin or scope["path"] == USER_PATH
        if not known or not self._origin_is_ours(headers):
            reason, origin = ("origin not allowed" if known else "no such path"), headers.get(b"origin", b"")
            self._hub.log.turned_away(reason, origin.decode("latin-1"))
            await send({"type": "websocket.close"})
            return Admission("forbidden", 403, reason)
        try:
            request = _Request.of(scope)
        except ValueError:
            request = _Request("", None, None)
        await send({"type": "websocket.accept", "subprotocol": request.subprotocol})
        session = take_over(scope, lambda transport, fd: Session(self._hub, transport, is_admin=admin, descriptor=fd))
        try:
            return await self._admit(session, request)
        except Refused as refused:
            self._refuse(session, refused)
            return Admission("refused", int(refused.code), refused.reason)
        except BaseException:
            session.abort(CloseCode.TRY_AGAIN_LATER)
            raise

    def _refuse(self, session: Session, refused: Refused) -> None:
        self._hub.counters.refused[str(int(refused.code)), refused.reason] += 1
        self._hub.log.refused(refused.reason, admin=session.is_admin, code=refused.code, user=session.user_id)
        if session.phase is not Phase.OPENING:
            return
        if refused.retry_after_ms is not None:
            session.send_away(refused.code, refused.reason, refused.retry_after_ms)
        else:
            session.close(refused.code, refused.reason)

    async def _admit(self, session: Session, request: _Request) -> Admission:
        self._check_room()
        principal = await self._principal(session, request.token)
        await self._check_user(principal.user_id)
        if session.phase is not Phase.OPENING:
            return Admission("gone")  # counted in now, nobody would ever count it out
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
                    # Even if the feed has them: this node's ear may be dead, and the client have seen more elsewhere.
                    await catch_up_states(own, self._link, self._keys)
            recovered, cursors = await resume((own, everyone), request.since)
        except (RedisError, TimeoutError):
            raise Refused(CloseCode.TRY_AGAIN_LATER, "the cluster is away", _retry_after()) from None
        if session.phase is not Phase.OPENING:
            return Admission("gone", session.close_code)  # or ended by the node; it has been counted out
        self._check_draining()
        self._hub.counters.opened["admin" if session.is_admin else "user"] += 1
        if recovered is not None:
            self._hub.counters.resumed[recovered] += 1
        session.acks = Acks() if request.acks and self._hub.acks is not None else None
        session.leaves_at = leaves_at(self._hub.now(), self._settings.connection_max_age)
        frame = self._connected(session, principal.username, recovered, cursors, request.since)
        session.welcome(frame, (own, everyone), cursors)
        self._hub.log.came(session)
        self._hub.behind(session)
        return Admission("welcomed", recovered=recovered)

    # --- may it come in?

    def _origin_is_ours(self, headers: dict[bytes, bytes]) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or "*" in self._origins or origin in self._origins:
            return True
        return origin.partition("://")[2] == headers.get(b"host", b"").decode("latin-1")

    def _check_draining(self) -> None:
        if self._membership.draining:
            raise Refused(CloseCode.SERVICE_RESTART, "this node leaves", _retry_after())

    def _check_room(self) -> None:
        self._check_draining()
        if not self._link.connected:
            raise Refused(CloseCode.TRY_AGAIN_LATER, "the cluster is away", _retry_after())
        if len(self._hub.connections.all.sessions) >= self._settings.node_max_connections:
            raise Refused(CloseCode.TRY_AGAIN_LATER, "this node is full", _retry_after())

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
        mine = sum(other.user_id == session.user_id for other in own.sessions)
        if mine > limit:
            raise Refused(CloseCode.TOO_MANY, "too many connections")
        async with asyncio.timeout(_REGISTRATION_TIMEOUT):
            registration = await self._membership.register(session.user_id)
        if registration.blocked:
            raise Refused(CloseCode.FORBIDDEN, "user blocked")
        if not session.is_admin and registration.connections > limit:
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
        cursor = ",".join(
            event_id(feed.stream, position) for feed, position in zip(session.feeds, cursors, strict=True)
        )
        return text_frame(
            to_json(
                {
                    "type": "connected",
                    "message": f"{noun} {username} 已连接",
                    kind: json_user_id(session.user_id),
                    "connection_stats": self._hub.stats().as_json(),
                    "recovered": recovered,
                    "cursor": since if recovered else cursor,
                    "heartbeat_interval_ms": int(self._settings.heartbeat_interval * 1000),
                }
            )
        )


async def resume(feeds: tuple[Feed, ...], since: str | None) -> tuple[bool | None, list[Position]]:
    """Return whether everything missed will follow (None: nothing was asked for), and where to begin in each feed.

    Raises:
        RedisError: history cannot be asked just now.
    """
    wanted = None if since is None else positions_in(since, {feed.stream for feed in feeds})
    if wanted is not None:
        good = await asyncio.gather(*(feed.is_good(wanted[feed.stream]) for feed in feeds))
        if all(good):
            return True, [wanted[feed.stream] for feed in feeds]
    for feed in feeds:
        await feed.wait_settled()
    return (None if since is None else False), [feed.position for feed in feeds]


def leaves_at(now: float, max_age: float | None) -> float:
    """Return when a connection that begins now has reached its maximum age.

    Give or take a tenth: those who came together, after a roll-out for example, are not to leave together.
    """
    return math.inf if max_age is None else now + max_age * random.uniform(*_AGE_JITTER)  # noqa: S311


def positions_in(since: str, streams: set[str]) -> dict[str, Position] | None:
    """Read ``since``: one id for each stream the connection hears; None for anything else."""
    if len(since.encode()) > SINCE_MAX_BYTES:
        return None
    found: dict[str, Position] = {}
    for text in since.split(","):
        parsed = parse_event_id(text)
        if parsed is None or parsed[0] not in streams or parsed[0] in found:
            return None
        found[parsed[0]] = parsed[1]
    return found if found.keys() == streams else None


def _retry_after() -> int:
    return random.randint(*_RETRY_AFTER_MS)  # noqa: S311  # spreads clients, hides nothing
