"""Logs and audits calls that were refused or failed, and those that end connections.

| call | audited |
| --- | --- |
| a publish, 401 or 403 | as what it would have been, if its caller is known; else as ``publish`` |
| a publish, any other error | if it is a broadcast, a system message, or a batch with one |
| ending connections, lifting a block, erasing a user | always |
| any other call, 401 or 403 | as ``read`` |
"""

from __future__ import annotations

import logging
from typing import Any, Final

from pydantic import ValidationError

from router.answers import status_of
from router.call_log import origin_of
from router.callers import Caller, Callers, NotAllowed
from router.lean_route import Call
from router.loose_json import loosely
from router.publish_api import PublishUnavailable
from shared import audit, trace_context
from shared.asgi import ASGIApp, Event, Receive, Scope, Send
from shared.audit import Action, AuditEvent, outcome_of
from shared.errors import InvalidUserId, KeysUnavailable, RealtimeError
from shared.headers import header
from shared.ids import user_id

logger = logging.getLogger(__name__)

NOTES: Final = "videosite.audit"  # key of the ASGI scope under which a route leaves fields for the audit event
_API: Final = "/api/v1/"
_REASONS: Final = {
    401: "credential refused",
    403: "scope missing",
    404: "no such thing",
    409: "key reused",
    413: "too large",
    422: "invalid",
    503: "redis does not answer",
}


class Refusals:
    """Watches both kinds of routes: the lean ones, and FastAPI's."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    # --- publishes

    async def on_publish_error(self, call: Call, exc: RealtimeError | ValidationError) -> None:
        """Log and audit a publish that was refused or failed; a lean route's ``on_error``."""
        status = status_of(exc)
        caller = await self._callers.identify_or_none(call.header(b"authorization")) if status != 401 else None
        record_failed_publish(call, exc, caller)

    # --- the other calls

    def watched(self, app: ASGIApp) -> ASGIApp:
        """Return the application with its privileged and its refused calls audited."""

        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(_API):
                await app(scope, receive, send)
                return
            trace_context.continued(header(scope["headers"], b"traceparent"))
            notes = scope[NOTES] = {}
            status = 500

            async def note(event: Event) -> None:
                nonlocal status
                if event["type"] == "http.response.start":
                    status = event["status"]
                await send(event)

            try:
                await app(scope, receive, note)
            finally:
                await self._record_call(scope, status, notes)

        return watch

    async def _record_call(self, scope: Scope, status: int, notes: dict[str, Any]) -> None:
        deletes = _deletes(scope["path"]) if scope["method"] == "DELETE" else None
        action: Action | None = deletes if deletes is not None else ("read" if status in (401, 403) else None)
        if action is None:
            return
        fields = scope["headers"]
        caller = await self._callers.identify_or_none(header(fields, b"authorization")) if status != 401 else None
        audit.write(
            AuditEvent(
                action=action,
                outcome=outcome_of(status),
                status=status,
                caller=caller.shown if caller is not None else None,
                users=_user_in(scope["path"]) if deletes is not None else None,
                reason=_REASONS.get(status, "error") if status >= 400 else None,
                trace_id=trace_context.current_trace_id(),
                **audit.origin(scope.get("client"), header(fields, b"x-forwarded-for")),
                **notes,
            )
        )


def record_failed_publish(call: Call, exc: RealtimeError | ValidationError, caller: Caller | None) -> None:
    """Log and audit a publish that was refused or failed."""
    status, reason = status_of(exc), _reason(exc)
    # When a call is refused this early, the context may still have the trace of the connection's previous call.
    begun = trace_context.current() if status not in (401, 403, 422) else ""
    trace_id = trace_context.trace_id_of(call.header(b"traceparent") or begun)
    if status == 503:
        logger.warning("publish failed", extra={"reason": reason, "trace_id": trace_id})
    action = attempted(call) if status != 401 else None
    if action is None and status in (401, 403):
        action = "publish"
    if action is None:
        return
    audit.write(
        AuditEvent(
            action=action,
            outcome=outcome_of(status),
            status=status,
            caller=caller.shown if caller is not None else None,
            reason=reason,
            trace_id=trace_id,
            **origin_of(call),
        )
    )


_DELETES: Final[dict[str, Action]] = {"connections": "end_connections", "block": "unblock", "data": "erase"}


def _deletes(path: str) -> Action | None:
    return _DELETES.get(path.rpartition("/")[2]) if path.startswith(f"{_API}users/") else None


def attempted(call: Call) -> Action | None:
    """Return the privileged action that a publish would have been; None for an ordinary one or invalid JSON."""
    body = loosely(call.body)
    if not isinstance(body, dict):
        return None
    if not call.path.endswith("/batch"):
        return _one(body)
    items = body.get("items")
    privileged = isinstance(items, list) and any(isinstance(item, dict) and _one(item) for item in items)
    return "batch" if privileged else None


def _one(item: dict[str, Any]) -> Action | None:
    message = item.get("message")
    kinds = (item.get("type"), message.get("type") if isinstance(message, dict) else None)
    if "system_message" in kinds:
        return "system_message"
    return "broadcast" if item.get("audience") == "all" else None


def _reason(exc: Exception) -> str:
    if isinstance(exc, NotAllowed):
        return exc.detail  # fixed phrases, and never the credential
    if isinstance(exc, KeysUnavailable):
        return "tokens cannot be judged just now"
    if isinstance(exc, PublishUnavailable) and exc.refused:
        return "redis refuses to write"
    return _REASONS.get(status_of(exc), "error")


def _user_in(path: str) -> list[str] | None:
    """Return the user whom a path is about, if it is a user id at all."""
    try:
        return [user_id(path.split("/")[-2])]
    except (InvalidUserId, IndexError):
        return None
