"""What OpenAPI shows of the calls for polling clients and for the admin page, beside their success."""

from __future__ import annotations

from typing import Any, Final

from node.inbox_bodies import Refusal
from shared.messages import SystemMessage

Responses = dict[int | str, dict[str, Any]]


def _refusals(described: dict[int, str]) -> Responses:
    return {status: {"model": Refusal, "description": text} for status, text in described.items()}


REFUSALS: Final = _refusals(
    {
        401: "No token, or none that is good",
        403: "Not an admin, the scope `publish` is missing, or the user is unknown or blocked",
        503: "Redis, the router or a part of the platform does not answer; try again after Retry-After seconds",
    }
)
NOT_FOUND: Final = _refusals({404: "No such transcode, or not the caller's"})
AS_OF_THE_ROUTER: Final = _refusals(
    {
        409: "The idempotency key was used with another body",
        413: "Body or message too large",
        422: "Invalid; names the field",
    }
)


def system_message_call() -> dict[str, Any]:
    """Return the call's OpenAPI description; written out, as a node cannot import the router's models."""
    properties = SystemMessage.model_json_schema()["properties"]
    users = {"type": "object", "properties": {"users": {"type": "array", "items": {}}}, "required": ["users"]}
    target = {"anyOf": [{"type": "string", "enum": ["admin", "all"]}, users], "default": "admin"}
    shown = {"message": properties["message"], "level": properties["level"], "target": target, "expires_at": {}}
    schema = {"type": "object", "required": ["message"], "properties": shown}
    key = {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"parameters": [key], "requestBody": body}
