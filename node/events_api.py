"""Events and states for clients without a socket: at once, after waiting for them, or as a stream."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Final

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response, Security

from node.callers import RETRY_AFTER, Callers, token_of
from node.event_reader import Answer, Asked, EventReader
from node.events_page import RESPONSES
from node.gate import Gate, Refused
from node.hub import Hub
from node.limits import CommandLimiter
from node.stream_answer import MEDIA_TYPE, StreamAnswer
from node.waiter import Waiter
from shared.asgi import BEARER, Receive
from shared.auth import Principal
from shared.close_codes import CloseCode
from shared.headers import header
from shared.ids import Position

LIMIT_MAX: Final = 100
WAIT_MAX: Final = 25.0  # s; proxies wait for an answer for 30 or 60
_STATUS: Final = {
    CloseCode.UNAUTHENTICATED: 401,
    CloseCode.FORBIDDEN: 403,
    CloseCode.TOO_MANY: 429,
    CloseCode.SERVICE_RESTART: 503,
    CloseCode.TRY_AGAIN_LATER: 503,
}

Since = Annotated[
    str | None,
    Query(
        description="The last id of each stream, with commas: a `cursor`, or what a socket was sent. Without it, the "
        "answer is the position and all states.",
        examples=["u.Nw.1795475748123-5,all.1795475748123-2"],
    ),
]
StatesSince = Annotated[
    str | None,
    Query(pattern=r"^\d{1,15}-\d{1,15}$", description="The last `states_cursor`: only states that are newer come."),
]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Events of each stream at most.")]
Wait = Annotated[float, Query(ge=0, le=WAIT_MAX, description="Seconds to wait for something, if there is nothing.")]
Token = Annotated[
    str,
    Query(description="The JWT, of a stream alone: a browser's `EventSource` cannot send an `Authorization`."),
]
LastEventId = Annotated[str | None, Header(description="Of a stream: where to go on, instead of `since`.")]


class EventsApi:
    """Routes under ``/api/v1/events``; one instance per node process."""

    def __init__(
        self, gate: Gate, hub: Hub, callers: Callers, reader: EventReader, *, per_second: int, unacknowledged: float
    ) -> None:
        self._gate, self._hub, self._callers, self._reader = gate, hub, callers, reader
        self._limiter, self._unacknowledged = CommandLimiter(per_second), unacknowledged

    def routes(self) -> APIRouter:
        routes = APIRouter(
            prefix="/api/v1/events", tags=["events"], dependencies=[Security(BEARER)], responses=RESPONSES
        )

        @routes.get("", summary="The caller's events and states")
        async def events(
            request: Request,
            since: Since = None,
            states_since: StatesSince = None,
            limit: Limit = LIMIT_MAX,
            wait: Wait = 0,
            token: Token = "",
            last_event_id: LastEventId = None,
        ) -> Response:
            """Return what came after `since`: the same messages with the same ids as on `/api/v1/ws`.

            With `wait`, the answer comes as soon as there is something. With `Accept: text/event-stream`, it is a
            stream of Server-Sent Events.
            """
            if _wants_stream(request):
                return self._stream(request, token, last_event_id or since, is_admin=False)
            principal = await self._callers.anybody(request)
            asked = Asked(principal.user_id, since, limit, _position(states_since))
            return await self._answer(request, principal, asked, wait)

        @routes.get("/admin", summary="The admins' events and states")
        async def admin_events(
            request: Request,
            since: Since = None,
            states_since: StatesSince = None,
            limit: Limit = LIMIT_MAX,
            wait: Wait = 0,
            token: Token = "",
            last_event_id: LastEventId = None,
        ) -> Response:
            """Return what came after `since`: the same messages with the same ids as on `/api/v1/ws/admin`."""
            if _wants_stream(request):
                return self._stream(request, token, last_event_id or since, is_admin=True)
            principal = await self._callers.admin(request)
            return await self._answer(request, principal, Asked(None, since, limit, _position(states_since)), wait)

        return routes

    def _stream(self, request: Request, token: str, since: str | None, *, is_admin: bool) -> Response:
        token = token_of(request) or token
        return StreamAnswer(self._gate, self._hub, token, since, is_admin=is_admin, unacknowledged=self._unacknowledged)

    async def _answer(self, request: Request, principal: Principal, asked: Asked, wait: float) -> Response:
        if not self._limiter.allow(principal.user_id, self._hub.now()):
            self._hub.counters.polls["refused"] += 1
            raise HTTPException(429, "too many calls", {"Retry-After": "1"})
        answer = await self._reader.read(asked)
        leaving = self._gate.draining
        if wait and not answer.is_news:
            answer, leaving = await self._wait(request.receive, principal, asked, wait)
        self._hub.counters.polls["news" if answer.is_news else "nothing"] += 1
        headers = {"Cache-Control": "no-store"} | ({"Connection": "close"} if leaving else {})
        return Response(answer.json, media_type="application/json", headers=headers)

    async def _wait(self, receive: Receive, principal: Principal, asked: Asked, seconds: float) -> tuple[Answer, bool]:
        """Return the answer once there is something or the time is over, and whether this node is leaving."""
        ends_at = self._hub.now() + seconds
        waiter = Waiter(self._hub, is_admin=asked.user is None)
        leaves = asyncio.create_task(_until_gone(receive, waiter))
        try:
            self._gate.check_room()
            await self._gate.enter(waiter, principal)
            # In this order: an event that arrives while history is read rings, and history is read once more.
            waiter.listen()
            answer = await self._reader.read(asked)
            while not answer.is_news and await waiter.rings(ends_at - self._hub.now()) and not waiter.ended:
                answer = await self._reader.read(asked)
        except Refused as refused:
            self._gate.refuse(waiter, refused)
            raise _refusal(refused.code, refused.reason, refused.retry_after_ms) from None
        finally:
            leaves.cancel()
            self._hub.connections.disconnect(waiter)
        if waiter.ended and waiter.close_code not in _HARMLESS:
            raise _refusal(waiter.close_code, waiter.reason, waiter.retry_after_ms)
        return answer, waiter.close_code == CloseCode.SERVICE_RESTART


_HARMLESS: Final = (CloseCode.NORMAL, CloseCode.SERVICE_RESTART)


async def _until_gone(receive: Receive, waiter: Waiter) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    waiter.close(CloseCode.NORMAL, "the client is gone")


def _refusal(code: int, reason: str, retry_after_ms: int | None) -> HTTPException:
    status = _STATUS[CloseCode(code)]
    headers: dict[str, str] | None = None
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    elif status != 403:
        wait = str(math.ceil(retry_after_ms / 1000)) if retry_after_ms is not None else RETRY_AFTER["Retry-After"]
        headers = {"Retry-After": wait, "Connection": "close"}
    return HTTPException(status, reason, headers)


def _wants_stream(request: Request) -> bool:
    accepted = (header(request.scope["headers"], b"accept") or "").split(",")
    return any(kind.partition(";")[0].strip().lower() == MEDIA_TYPE for kind in accepted)


def _position(text: str | None) -> Position | None:
    return Position.parse(text) if text is not None else None
