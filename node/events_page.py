"""What OpenAPI shows of the answers of ``/api/v1/events``: they are put together from bytes, and no model is made."""

from __future__ import annotations

from typing import Any, Final

_PROGRESS: Final = {
    "type": "transcode_progress",
    "video_id": 123,
    "status": "processing",
    "progress": 45,
    "message": "已完成720p转码 (2/3)",
    "timestamp": "2025-10-10T10:30:00Z",
}
_ANSWER: Final = {
    "events": [
        {
            "type": "system_message",
            "message": "系统将于10分钟后维护",
            "level": "warning",
            "timestamp": "2025-10-10T10:20:00Z",
            "id": "all.1795475748123-3",
        }
    ],
    "states": [_PROGRESS],
    "cursor": "u.Nw.1795475748123-5,all.1795475748123-3",
    "states_cursor": "1795475748123-17",
    "recovered": True,
    "has_more": False,
}
_MESSAGE: Final = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
_SCHEMA: Final = {
    "type": "object",
    "required": list(_ANSWER),
    "properties": {
        "events": {
            "type": "array",
            "items": {**_MESSAGE, "required": ["type", "id"]},
            "description": "Events as a socket sends them, of each stream in order.",
        },
        "states": {
            "type": "array",
            "items": _MESSAGE,
            "description": "Active transcodes; to be taken after the events. Empty while `has_more`.",
        },
        "cursor": {"type": "string", "description": "The next `since`, here and of a socket."},
        "states_cursor": {"type": "string", "description": "The next `states_since`."},
        "recovered": {
            "type": ["boolean", "null"],
            "description": "null without `since`; false if history does not reach back to it, or it names what the "
            "caller may not hear: then fetch states and inbox anew.",
        },
        "has_more": {"type": "boolean", "description": "Whether to call again at once."},
    },
}
_STREAM: Final = """\
retry: 3000
id: u.Nw.1795475748123-5,all.1795475748123-2
data: {"type":"connected","recovered":true,"cursor":"u.Nw.1795475748123-5,all.1795475748123-2"}

id: u.Nw.1795475748123-5,all.1795475748123-3
data: {"type":"system_message","message":"系统将于10分钟后维护","level":"warning","id":"all.1795475748123-3"}

:

event: close
data: {"code":4401,"reason":"token expired"}
"""


def _refusal(text: str, detail: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"detail": {"type": "string"}}}
    return {"description": text, "content": {"application/json": {"schema": schema, "example": {"detail": detail}}}}


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What came after `since`.",
        "content": {
            "application/json": {"schema": _SCHEMA, "example": _ANSWER},
            "text/event-stream": {"schema": {"type": "string"}, "example": _STREAM},
        },
    },
    401: _refusal("No token, or none that is good.", "token expired"),
    403: _refusal("Not an admin, or the user is unknown or blocked.", "user blocked"),
    429: _refusal("Too many calls or connections of this user. `Retry-After` says when.", "too many calls"),
    503: _refusal("Redis does not answer, or this node is full or leaving. `Retry-After` says when.", "redis is away"),
}
