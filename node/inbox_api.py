"""The inbox's HTTP calls. What a caller sees is what its sockets hear: its own, everybody's, an admin the admins'."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response, Security
from pydantic_core import to_json

from node import inbox_bodies as bodies
from node.callers import Callers
from node.inbox_count import Tally
from node.inbox_list import Item, Wanted
from node.inbox_service import InboxService, NotYet, Outcome
from node.inbox_view import UnknownNotification, View, view_of
from node.limits import CommandLimiter
from shared.asgi import BEARER
from shared.errors import DatabaseError, InvalidMessage

Audience = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Which of the caller's audiences, with commas: `user`, `all`, for admins `admin`. Default: all of "
        "them. A badge beside a socket asks for what that socket hears: `user,all`, or on the admin endpoint "
        "`admin,all`.",
        examples=["user,all"],
    ),
]
EventPath = Annotated[str, Path(alias="id", max_length=256, description="The event's id.")]
Cursor = Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=bodies.LIMIT_MAX)]
Type = Annotated[str | None, Query(min_length=1, max_length=128, description="Only of this type.")]
Unread = Annotated[bool, Query(description="Only what is not read.")]


class InboxApi:
    """Routes under ``/api/v1/notifications``; one instance per node process."""

    def __init__(self, service: InboxService, callers: Callers, *, per_second: int) -> None:
        self._service, self._callers = service, callers
        self._limiter = CommandLimiter(per_second)

    def routes(self) -> APIRouter:
        routes = APIRouter(
            prefix="/api/v1/notifications",
            tags=["inbox"],
            dependencies=[Security(BEARER), Depends(self._identify)],
            responses=_REFUSALS,
        )
        routes.get("", response_model=bodies.NotificationPage)(self.notifications)
        routes.get("/unread-count", response_model=bodies.UnreadCount)(self.unread_count)
        routes.post("/read", response_model=bodies.MarkResult, responses=_OF_THE_BODY)(self.mark)
        routes.post("/{id}/read", response_model=bodies.UnreadCount, responses=_NOT_FOUND)(self.mark_one)
        routes.delete("/{id}", response_model=bodies.UnreadCount, responses=_NOT_FOUND)(self.delete)
        return routes

    async def _identify(self, request: Request) -> None:
        principal = await self._callers.anybody(request)
        # The database's connections are few: one user must not take them all.
        if not self._limiter.allow(principal.user_id, time.monotonic()):
            raise HTTPException(429, "too many calls", {"Retry-After": "1"})
        request.state.principal = principal

    async def notifications(
        self,
        request: Request,
        cursor: Cursor = None,
        limit: Limit = 30,
        type: Type = None,
        unread: Unread = False,
        audience: Audience = None,
    ) -> Response:
        """Return notifications, newest first. What comes meanwhile shifts no page: it is on none of them."""
        with _answers():
            view = _view(request, audience)
            below = None if cursor is None else view.read(cursor, "cursor", "query")
            if below is not None and below.keys() != set(view.kinds):
                raise InvalidMessage("cursor", "is of another list: keep `audience` from page to page", "query")
            page = await self._service.page(view, Wanted(limit, below, type, unread))
        items = b",".join(_item(view, item) for item in page.items)
        cursor_json = to_json(None if page.below is None else view.write(page.below))
        body = b'{"notifications":[%s],"next_cursor":%s}' % (items, cursor_json)
        return Response(body, media_type="application/json")

    async def unread_count(self, request: Request, audience: Audience = None) -> dict[str, Any]:
        """Return how many notifications are not read: exactly, and up to which of them was counted."""
        with _answers():
            view = _view(request, audience)
            return _badge(view, await self._service.count(view))

    async def mark(self, request: Request, body: bodies.MarkRequest, audience: Audience = None) -> dict[str, Any]:
        """Mark notifications as read: some, all up to a place, or all. Doing it twice does no harm."""
        with _answers():
            view = _view(request, audience)
            outcome = await self._mark(view, body)
            return {**_badge(view, outcome.tally), "read": outcome.changed, "unknown": outcome.unknown}

    async def _mark(self, view: View, body: bodies.MarkRequest) -> Outcome:
        if body.ids is not None:
            return await self._service.read(view, body.ids)
        if body.up_to is not None:
            return await self._service.read_up_to(view, view.read(body.up_to, "up_to", "body"))
        return await self._service.read_all(view)

    async def mark_one(self, request: Request, event_id: EventPath, audience: Audience = None) -> dict[str, Any]:
        """Mark one notification as read. Doing it twice does no harm."""
        with _answers():
            view = _view(request, audience)
            outcome = await self._service.read(view, [event_id])
            if outcome.unknown:
                raise UnknownNotification
            return _badge(view, outcome.tally)

    async def delete(self, request: Request, event_id: EventPath, audience: Audience = None) -> dict[str, Any]:
        """Delete one notification for the caller; a shared one stays there for others."""
        with _answers():
            view = _view(request, audience)
            return _badge(view, (await self._service.delete(view, event_id)).tally)


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what the inbox raises into answers; Redis's errors are the application's."""
    try:
        yield
    except UnknownNotification:
        raise HTTPException(404, "no such notification") from None
    except InvalidMessage as exc:
        problem = {"type": "value_error", "loc": [exc.part, exc.field], "msg": exc.reason}
        raise HTTPException(422, [problem]) from exc
    except NotYet as exc:
        raise HTTPException(503, str(exc), {"Retry-After": "1"}) from exc
    except DatabaseError as exc:
        raise HTTPException(503, "the inbox's database does not answer just now", {"Retry-After": "2"}) from exc


def _view(request: Request, audience: str | None) -> View:
    return view_of(request.state.principal, audience)


def _badge(view: View, tally: Tally) -> dict[str, Any]:
    counts = {kind: tally.unread[kind] for kind in view.kinds}
    return {
        "unread": sum(counts.values()),
        "as_of": view.write(tally.as_of),
        "revision": tally.revision,
        "by_audience": counts,
    }


def _item(view: View, item: Item) -> bytes:
    """Return a notification's JSON; the content goes in as it is."""
    head = {
        "id": view.name(item.kind, item.position),
        "audience": item.kind,
        "type": item.type,
        "read": item.read,
        "created_at": _rfc3339(item.published_at / 1e6),
        "expires_at": None if item.expires_at is None else _rfc3339(item.expires_at / 1e3),
    }
    return b'%s,"content":%s}' % (to_json(head)[:-1], item.content.encode())


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": bodies.Refusal, "description": "Not in this inbox: unknown, deleted, over, or somebody else's"}
}
_OF_THE_BODY: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": bodies.Refusal, "description": "The body is no text in UTF-8, or nested without end"},
    413: {"model": bodies.Refusal, "description": "The body is larger than HTTP_BODY_MAX_BYTES"},
}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": bodies.Refusal, "description": "No or a wrong token"},
    403: {"model": bodies.Refusal, "description": "The user is unknown or blocked"},
    422: {"model": bodies.Refusal, "description": "Invalid; names the field"},
    429: {"model": bodies.Refusal, "description": "More than COMMANDS_PER_SECOND calls of a user"},
    503: {
        "model": bodies.Refusal,
        "description": "The database does not answer, or has not got it yet; try again after Retry-After seconds",
    },
}
