"""What may be sent to browsers: the four typed messages, and custom ones.

``prepare`` is the only way from a caller's JSON to a :class:`Message`; nodes never look inside the payload again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from shared.errors import InvalidMessage

NODE_TYPES: Final = frozenset({"connected", "stats", "error", "reconnect", "refreshed", "resync", "inbox"})
FINAL_STATE_TTL: Final = 24 * 3600  # s for which polling still shows how a transcode ended
_YEAR_10000: Final = 253402300800  # s since 1970
_CAPITAL_I, _CAPITAL_N = b"IN"
_LARGEST_EXACT: Final = 2**53 - 1  # beyond it JavaScript rounds

VideoId = Annotated[int, Field(strict=True, ge=-_LARGEST_EXACT, le=_LARGEST_EXACT, examples=[123])]
NonEmpty = Annotated[str, Field(strict=True, min_length=1)]
Level = Literal["info", "success", "warning", "error"]


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TranscodeProgress(_Typed):
    type: Literal["transcode_progress"] = "transcode_progress"
    video_id: VideoId
    status: NonEmpty = Field(examples=["processing"])
    progress: Annotated[int | float, Field(ge=0, le=100, allow_inf_nan=False, examples=[45])]
    message: str = Field("", examples=["已完成720p转码 (2/3)"])


class TranscodeComplete(_Typed):
    type: Literal["transcode_complete"] = "transcode_complete"
    video_id: VideoId
    title: str = Field(examples=["示例视频"])
    format_type: NonEmpty = Field(examples=["av1"])
    file_size: Annotated[int, Field(strict=True, ge=0, le=_LARGEST_EXACT, description="bytes", examples=[1024000000])]


class TranscodeFailed(_Typed):
    type: Literal["transcode_failed"] = "transcode_failed"
    video_id: VideoId
    title: str = Field(examples=["示例视频"])
    error: str = Field(examples=["FFmpeg process exited with code 1"])


class SystemMessage(_Typed):
    type: Literal["system_message"] = "system_message"
    message: NonEmpty = Field(examples=["系统将于10分钟后维护"])
    level: Level = "info"


Typed = TranscodeProgress | TranscodeComplete | TranscodeFailed | SystemMessage
TYPED: Final[dict[str, type[Typed]]] = {
    "transcode_progress": TranscodeProgress,
    "transcode_complete": TranscodeComplete,
    "transcode_failed": TranscodeFailed,
    "system_message": SystemMessage,
}


class StateChange(NamedTuple):
    """What a transcode message does to the newest value of its video.

    Attributes:
        mark: ``a`` active, ``l`` active but without the producer's time, so perhaps a straggler, ``f`` final.
    """

    video_id: int
    stamp_us: int
    mark: Literal["a", "l", "f"]


class Message(NamedTuple):
    """A message ready to travel (a named tuple: a frozen dataclass would take longer to make than its JSON).

    Attributes:
        payload: the JSON object in UTF-8, without its closing brace; a node appends the id.
        is_event: must reach its audience; otherwise only the newest value counts.
        expires_at: ms since the Unix epoch after which it is no longer delivered.
    """

    type: str
    payload: bytes
    is_event: bool
    state: StateChange | None = None
    expires_at: int | None = None


def prepare(fields: dict[str, Any], *, now_us: int, sent_at: int | None = None, expires_at: Any = None) -> Message:
    """Check a message and make it ready to travel.

    Args:
        fields: the message as its caller wrote it.
        now_us: the time by which it is ordered if the producer gave none, µs since the Unix epoch.
        sent_at: the producer's time of a transcode message, µs since the Unix epoch.
        expires_at: RFC 3339 text or seconds since the Unix epoch.

    Raises:
        InvalidMessage: names the field.
    """
    kind = fields.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidMessage("type", "a message needs a type, a non-empty string")
    if kind in NODE_TYPES:
        raise InvalidMessage("type", f"{kind!r} is the nodes' own")
    if "id" in fields:
        raise InvalidMessage("id", "is given by the cluster; a message may not bring its own")
    model = TYPED.get(kind)
    if model is None:
        ends = expiry_ms(fields.get("expires_at") if expires_at is None else expires_at)
        # As Message(…), at half its cost: a router makes one per message.
        return tuple.__new__(Message, (kind, _encode(fields), True, None, ends))
    return _prepare_typed(model, fields, now_us, sent_at, expiry_ms(expires_at))


def _prepare_typed(
    model: type[Typed], fields: dict[str, Any], now_us: int, sent_at: int | None, ends: int | None
) -> Message:
    try:
        message = model.model_validate({key: value for key, value in fields.items() if key != "timestamp"})
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InvalidMessage(str(error["loc"][0]), error["msg"]) from exc
    return stamp(message, now_us=now_us, sent_at=sent_at, ends=ends)


def stamp(message: Typed, *, now_us: int, sent_at: int | None = None, ends: int | None = None) -> Message:
    """Make a checked typed message ready to travel; ``ends`` is its ``expires_at`` in ms."""
    fields = {name: getattr(message, name) for name in TYPED[message.type].model_fields}
    payload = _encode(fields | {"timestamp": _utc_seconds(now_us)})
    state = None if isinstance(message, SystemMessage) else _state_change(message, now_us, sent_at)
    return Message(message.type, payload, not isinstance(message, TranscodeProgress), state, ends)


def _state_change(
    message: TranscodeProgress | TranscodeComplete | TranscodeFailed, now_us: int, sent_at: int | None
) -> StateChange:
    stamp = now_us if sent_at is None else sent_at
    if not isinstance(message, TranscodeProgress):
        return StateChange(message.video_id, stamp, "f")
    return StateChange(message.video_id, stamp, "l" if sent_at is None and message.progress > 0 else "a")


def _encode(fields: dict[str, Any]) -> bytes:
    try:
        payload = to_json(fields, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError) as exc:
        raise InvalidMessage("message", f"cannot be written as UTF-8 JSON: {exc}") from exc
    # Either 1e999 was written so, or it is somebody's text. Searching for a single byte first is ten times faster than
    # for a word.
    if (_CAPITAL_I in payload and b'Infinity"' in payload) or (_CAPITAL_N in payload and b'"NaN"' in payload):
        for field in _not_finite(fields):
            raise InvalidMessage(field, "Input should be a finite number")
    return payload[:-1]


def _not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted paths of numbers that JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from _not_finite(item, f"{path}.{name}" if path else str(name))


def expiry_ms(value: Any) -> int | None:
    """Return when an event ends, ms since the Unix epoch, from RFC 3339 text or seconds; raises ``InvalidMessage``."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _YEAR_10000:
            return int(value * 1000)
    except (ValueError, OverflowError):
        pass
    raise InvalidMessage("expires_at", "neither a time such as 2026-01-31T12:00:00Z nor seconds since 1970")


def _utc_seconds(now_us: int) -> str:
    return datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
