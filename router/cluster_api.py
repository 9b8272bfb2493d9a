"""The calls that read the cluster, and those that end connections."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response, Security, params
from pydantic_core import to_json

from router import bodies
from router.callers import Caller, Callers, Scope
from router.erasure import Erasure
from router.refusals import NOTES
from router.sending import begin_send
from shared import envelope, spans, trace_context
from shared.asgi import BEARER
from shared.caretaker import Caretaker
from shared.cluster import Places, list_nodes, user_places
from shared.errors import InvalidUserId
from shared.headers import header
from shared.ids import json_user_id, user_id
from shared.keys import Keys, bucket
from shared.link import Link
from shared.states import read_state, transcodes_json
from shared.traced_http import HttpTrace, trace_of
from shared.tracing import traceparent_of

UserPath = Annotated[str, Path(alias="user_id", description="A user id, 1 to 128 characters of A-Z a-z 0-9 _ : @ -")]


class ClusterApi:
    """Routes of the cluster under ``/api/v1``; one instance per router process."""

    def __init__(self, callers: Callers, link: Link, keys: Keys, caretaker: Caretaker, erasure: Erasure) -> None:
        self._callers, self._link, self._keys, self._caretaker = callers, link, keys, caretaker
        self._erasure = erasure

    def routes(self) -> APIRouter:
        routes = APIRouter(prefix="/api/v1", responses=_REFUSALS)
        read, admin = self._require("read"), self._require("admin")
        get, delete = routes.get, routes.delete
        get("/stats", response_model=bodies.Counts, dependencies=read, tags=["cluster"])(self.stats)
        get("/nodes", response_model=bodies.Nodes, dependencies=read, tags=["cluster"])(self.nodes)
        get("/users/{user_id}/connections", response_model=bodies.UserConnections, dependencies=read, tags=["users"])(
            self.connections
        )
        delete("/users/{user_id}/connections", response_model=bodies.Ended, dependencies=admin, tags=["users"])(
            self.end_connections
        )
        delete("/users/{user_id}/block", response_model=bodies.Unblocked, dependencies=admin, tags=["users"])(
            self.lift_block
        )
        delete("/users/{user_id}/data", response_model=bodies.Erased, dependencies=admin, tags=["users"])(self.erase)
        get("/transcodes", response_model=bodies.Transcodes, dependencies=read, tags=["transcodes"])(self.transcodes)
        get("/transcodes/{video_id}", dependencies=read, tags=["transcodes"], responses=_NOT_FOUND)(self.transcode)
        return routes

    def _require(self, scope: Scope) -> list[params.Depends]:
        async def require(request: Request) -> Caller:
            return await self._callers.allow(header(request.scope["headers"], b"authorization"), scope)

        return [Security(BEARER, scopes=[scope]), Depends(require)]

    async def stats(self) -> dict[str, int]:
        """Return the four counters of the whole cluster."""
        self._check_link()
        return self._caretaker.stats.counters.as_json()

    async def nodes(self) -> dict[str, Any]:
        """Return every live node with its own counters."""
        return {"nodes": await list_nodes(self._link, self._keys)}

    async def connections(self, user: UserPath) -> dict[str, Any]:
        """Return on which nodes a user is connected, how often."""
        places = await self._places(_checked(user))
        return {"user_id": json_user_id(user), "connections": sum(places.values()), "nodes": places}

    async def end_connections(
        self,
        request: Request,
        user: UserPath,
        asked: Annotated[bodies.Ending, Query()],
    ) -> dict[str, Any]:
        """End all connections of a user (close code 4401), and refuse it for `block_seconds` (4403) if asked."""
        places, block_seconds = await self._places(_checked(user)), asked.block_seconds
        tag, until = bucket(user), None
        if block_seconds is not None:
            now, blocked = self._link.of(tag).server_ms(), self._keys.blocked(tag)
            until = now + block_seconds * 1000
            await asyncio.gather(
                self._link.send("ZADD", blocked, until, user),
                self._link.send("ZREMRANGEBYSCORE", blocked, "-inf", now),
            )
        await self._order_end(user, trace_of(request.scope))
        connections = sum(places.values())
        _note(request, connections=connections, block_seconds=block_seconds)
        return {
            "user_id": json_user_id(user),
            "connections": connections,
            "blocked_until": _rfc3339(until) if until is not None else None,
        }

    async def _order_end(self, user: str, trace: HttpTrace | None) -> None:
        span = begin_send(trace, spans.CONTROL) if trace is not None else None
        order = envelope.control(to_json({"end": user}), traceparent_of(span) if span else trace_context.current())
        await self._link.send("PUBLISH", self._keys.all_channel, order)
        if span is not None:
            span.end()

    async def lift_block(
        self, request: Request, user: UserPath, _asked: Annotated[bodies.Nothing, Query()]
    ) -> dict[str, Any]:
        """Let a blocked user connect again."""
        tag = bucket(_checked(user))
        now, blocked = self._link.of(tag).server_ms(), self._keys.blocked(tag)
        until, _, _ = await asyncio.gather(
            self._link.send("ZSCORE", blocked, user),
            self._link.send("ZREM", blocked, user),
            self._link.send("ZREMRANGEBYSCORE", blocked, "-inf", now),
        )
        was_blocked = until is not None and float(until) > now
        _note(request, was_blocked=was_blocked)
        return {"user_id": json_user_id(user), "was_blocked": was_blocked}

    async def erase(self, user: UserPath, _asked: Annotated[bodies.Nothing, Query()]) -> dict[str, Any]:
        """Erase what is kept of a user: inbox, history, states. Its connections and its block are other calls' work."""
        return {"user_id": json_user_id(_checked(user)), **await self._erasure.erase(user)}

    async def transcodes(self) -> Response:
        """Return the newest state of every transcode: active ones, and those that ended within 24 hours."""
        return Response(await transcodes_json(self._link, self._keys.all_states), media_type="application/json")

    async def transcode(self, video_id: int) -> Response:
        """Return the newest state of one transcode."""
        state = await read_state(self._link, self._keys.all_states, video_id)
        if state is None:
            raise HTTPException(404, f"no transcode of video {video_id} is known")
        return Response(state.json, media_type="application/json")

    async def _places(self, user: str) -> Places:
        return await user_places(self._link, self._keys, user)

    def _check_link(self) -> None:
        """A counter that cannot be read anew is not shown as if it were."""
        if not self._link.connected:  # all of it: users are counted in every bucket
            raise HTTPException(503, "Redis does not answer just now", headers={"Retry-After": "2"})


def _note(request: Request, **fields: Any) -> None:
    """Leave for the audit what only this route knows."""
    request.scope[NOTES].update(fields)


def _checked(user: str) -> str:
    try:
        return user_id(user)
    except InvalidUserId as exc:
        raise HTTPException(422, [{"type": "value_error", "loc": ["path", "user_id"], "msg": str(exc)}]) from exc


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": bodies.Refusal, "description": "No such thing"}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": bodies.Refusal, "description": "No or a wrong credential"},
    403: {"model": bodies.Refusal, "description": "The scope is missing"},
    503: {"model": bodies.Unavailable, "description": "Redis does not answer; try again after Retry-After seconds"},
}
