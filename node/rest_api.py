"""The node's HTTP calls: what polling clients and the admin page need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from fastapi import APIRouter, Depends, HTTPException, Request, Response, Security
from pydantic_core import from_json, to_json

from node.callers import RETRY_AFTER, Callers, must_be_admin
from node.rest_page import AS_OF_THE_ROUTER, NOT_FOUND, REFUSALS, system_message_call
from shared import audit, trace_context
from shared.asgi import BEARER
from shared.audit import AuditEvent, outcome_of
from shared.auth import Principal
from shared.cluster import list_nodes
from shared.headers import header
from shared.keys import Keys, StateKeys
from shared.link import Link
from shared.states import read_state, transcodes_json
from shared.stats import Counters

_FORWARD_TIMEOUT = 10.0  # s
_FORWARDED_HEADERS = (b"authorization", b"content-type", b"idempotency-key")
_RETURNED_HEADERS = ("content-type", "retry-after", "www-authenticate")


class RestApi:
    """Routes under ``/api/v1``; one instance per node process."""

    def __init__(
        self,
        stats: Callable[[], Counters],
        callers: Callers,
        link: Link,
        keys: Keys,
        *,
        router_url: str | None,
    ) -> None:
        self._stats, self._callers, self._link, self._keys = stats, callers, link, keys
        self._router = httpx.AsyncClient(base_url=router_url, timeout=_FORWARD_TIMEOUT) if router_url else None

    async def aclose(self) -> None:
        if self._router is not None:
            await self._router.aclose()

    def routes(self) -> APIRouter:
        routes = APIRouter(prefix="/api/v1")
        logged_in, admin = Depends(self._callers.anybody), Depends(self._callers.admin)
        token = Security(BEARER)

        @routes.get("/ws/stats", tags=["cluster"])
        async def stats() -> dict[str, int]:
            """Return the four counters of the whole cluster."""
            return self._stats().as_json()

        @routes.get("/transcodes", tags=["transcodes"], dependencies=[token], responses=REFUSALS)
        async def transcodes(principal: Principal = logged_in) -> Response:
            """Return the newest states: an admin's of all videos, a user's of its own."""
            return _json(await transcodes_json(self._link, self._states_for(principal)))

        @routes.get(
            "/transcodes/{video_id}",
            tags=["transcodes"],
            dependencies=[token],
            responses={**REFUSALS, **NOT_FOUND},
        )
        async def transcode(video_id: int, principal: Principal = logged_in) -> Response:
            """Return the newest state of one video; 404 for those that are not the caller's."""
            state = await read_state(self._link, self._states_for(principal), video_id)
            if state is None:
                raise HTTPException(404, f"no transcode of video {video_id} is known")
            return _json(state.json)

        @routes.get("/admin/nodes", tags=["admin"], dependencies=[token, admin], responses=REFUSALS)
        async def nodes() -> dict[str, Any]:
            """Return every live node with its counters."""
            return {"nodes": await list_nodes(self._link, self._keys)}

        @routes.post(
            "/admin/system-messages",
            tags=["admin"],
            dependencies=[Security(BEARER, scopes=["publish"])],
            status_code=202,
            openapi_extra=system_message_call(),
            responses={**REFUSALS, **AS_OF_THE_ROUTER},
        )
        async def system_messages(request: Request) -> Response:
            """Publish a `system_message` (message, level, target) with the caller's own token, scope `publish`."""
            principal: Principal | None = None
            try:
                principal = await self._callers.identify(request)
                must_be_admin(principal)
                await self._callers.checked(principal)
                return await self._forward(request)
            except HTTPException as exc:
                _audit(request, principal, exc)
                raise

        return routes

    def _states_for(self, principal: Principal) -> StateKeys:
        return self._keys.all_states if principal.is_admin else self._keys.user_states(principal.user_id)

    # --- to the router

    async def _forward(self, request: Request) -> Response:
        if self._router is None:
            raise HTTPException(503, "ROUTER_URL is not set")
        try:
            body = from_json(await request.body(), allow_inf_nan=False)
        except ValueError as exc:
            raise _invalid_body(f"cannot be read as JSON in UTF-8: {exc}") from exc
        if not isinstance(body, dict):
            raise _invalid_body("a JSON object is needed")
        headers = [(name, value) for name, value in request.headers.raw if name in _FORWARDED_HEADERS]
        headers.append((b"traceparent", trace_context.current().encode()))
        headers.append((b"x-forwarded-for", _way_here(request).encode("latin-1")))
        try:
            answer = await self._router.post(
                "/api/v1/notifications", content=to_json({**body, "type": "system_message"}), headers=headers
            )
        except httpx.HTTPError as exc:
            raise HTTPException(503, "the router does not answer just now", RETRY_AFTER) from exc
        kept = {name: answer.headers[name] for name in _RETURNED_HEADERS if name in answer.headers}
        return Response(answer.content, answer.status_code, kept)


def _invalid_body(reason: str) -> HTTPException:
    return HTTPException(422, [{"type": "value_error", "loc": ["body"], "msg": reason}])


def _way_here(request: Request) -> str:
    """Return the ``X-Forwarded-For`` for the router's audit: what proxies have put there, and our own peer."""
    peer = request.client.host if request.client is not None else "unknown"
    claimed = header(request.scope["headers"], b"x-forwarded-for")
    return f"{claimed}, {peer}" if claimed else peer


def _audit(request: Request, principal: Principal | None, exc: HTTPException) -> None:
    """Audit a call that ended here. Forwarded ones are audited by the router."""
    audit.write(
        AuditEvent(
            action="system_message",
            outcome=outcome_of(exc.status_code),
            status=exc.status_code,
            caller=f"sub:{principal.user_id}" if principal is not None else None,
            reason=exc.detail if isinstance(exc.detail, str) else "invalid",
            trace_id=trace_context.current_trace_id(),
            **audit.origin(request.client, header(request.scope["headers"], b"x-forwarded-for")),
        )
    )


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
