"""Writes requests: the one place that knows the router's calls and their fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from uuid import uuid4

from videosite_realtime.errors import InvalidMessage
from videosite_realtime.requests import Audience, Expiry, Fields, Level, Publish, PublishBatch, UserId

BATCH_MAX: Final = 1000
KEY_MAX_LENGTH: Final = 255
TRANSCODES: Final = frozenset({"transcode_progress", "transcode_complete", "transcode_failed"})
TYPED: Final = TRANSCODES | {"system_message"}


def _new_key() -> str:
    return str(uuid4())


class Composer:
    """Gives each message its idempotency key, and each transcode message the time that orders it.

    What is None was not given and is left out. Everything else is for the router to judge.

    Args:
        sent_at: the producer's clock, strictly rising, µs since the Unix epoch; None: who composes is not the producer.
        new_key: makes an idempotency key.
    """

    def __init__(self, sent_at: Callable[[], int] | None, new_key: Callable[[], str] = _new_key) -> None:
        self._sent_at, self._new_key = sent_at, new_key

    def transcode_progress(
        self, video_id: int, status: str, progress: float, message: str, user_id: UserId | None, key: str | None
    ) -> Publish:
        fields = {"video_id": video_id, "status": status, "progress": progress, "message": message, "user_id": user_id}
        return self._notification({"type": "transcode_progress", **fields}, key)

    def transcode_complete(
        self, video_id: int, title: str, format_type: str, file_size: int, user_id: UserId | None, key: str | None
    ) -> Publish:
        media = {"title": title, "format_type": format_type, "file_size": file_size}
        return self._notification(
            {"type": "transcode_complete", "video_id": video_id, **media, "user_id": user_id}, key
        )

    def transcode_failed(
        self, video_id: int, title: str, error: str, user_id: UserId | None, key: str | None
    ) -> Publish:
        fields = {"video_id": video_id, "title": title, "error": error, "user_id": user_id}
        return self._notification({"type": "transcode_failed", **fields}, key)

    def system_message(
        self, message: str, level: Level, target: Audience, expires_at: Expiry, key: str | None
    ) -> Publish:
        fields = {"message": message, "level": level, "target": target, "expires_at": expires_at}
        return self._notification({"type": "system_message", **fields}, key)

    def message(self, audience: Audience, message: Fields, expires_at: Expiry, key: str | None) -> Publish:
        fields = {"audience": audience, "message": message, "expires_at": expires_at}
        return self._publish("/api/v1/messages", self._stamped(fields, message), key)

    def any_message(self, message_type: str, data: Fields, key: str | None) -> Publish:
        """Compose a typed message of its fields, or a custom one of its ``audience`` and ``message``."""
        if not isinstance(message_type, str) or not message_type:
            raise InvalidMessage(422, "type: a message needs a type, a non-empty string")
        if not isinstance(data, Mapping):
            raise InvalidMessage(422, "data: Input should be an object")
        if message_type in TYPED:
            return self._notification(_of_type(message_type, data, "data"), key)
        message = data.get("message")
        if "audience" not in data or not isinstance(message, Mapping):
            raise InvalidMessage(422, f"data: {message_type!r} is a custom type, which needs an audience and a message")
        fields = {**data, "message": _of_type(message_type, message, "data.message")}
        return self._publish("/api/v1/messages", self._stamped(fields, message), key)

    def notifications(self, items: Iterable[Fields]) -> PublishBatch:
        return self._batch("/api/v1/notifications/batch", items, lambda item: item)

    def messages(self, items: Iterable[Fields]) -> PublishBatch:
        return self._batch("/api/v1/messages/batch", items, lambda item: item.get("message"))

    def _notification(self, fields: Fields, key: str | None) -> Publish:
        return self._publish("/api/v1/notifications", self._stamped(fields, fields), key)

    def _publish(self, path: str, fields: Fields, key: str | None) -> Publish:
        return Publish(path, _encode(fields), self._new_key() if key is None else _header_safe(key))

    def _batch(self, path: str, items: Iterable[Fields], message: Callable[[Fields], object]) -> PublishBatch:
        # What is no object can bear no key; the router refuses it at its place.
        keyed = [
            self._keyed(self._stamped(item, message(item))) if isinstance(item, Mapping) else item for item in items
        ]
        if not 1 <= len(keyed) <= BATCH_MAX:
            raise InvalidMessage(422, f"items: a batch has 1 to {BATCH_MAX:,} items, this one {len(keyed):,}")
        return PublishBatch(path, _encode({"items": keyed}))

    def _keyed(self, item: Fields) -> Fields:
        return {**item, "idempotency_key": item.get("idempotency_key") or self._new_key()}

    def _stamped(self, fields: Fields, message: object) -> Fields:
        """Return ``fields`` without what was not given, and with a transcode message's time unless it has one."""
        given = {name: value for name, value in fields.items() if value is not None}
        if self._sent_at is None:
            return given
        if isinstance(message, Mapping) and message.get("type") in TRANSCODES and "sent_at" not in given:
            given["sent_at"] = self._sent_at()
        return given


def _of_type(message_type: str, fields: Fields, where: str) -> Fields:
    if fields.get("type", message_type) != message_type:
        raise InvalidMessage(422, f"{where}.type: is {fields['type']!r}, and the message's type {message_type!r}")
    return {"type": message_type, **fields}


def _header_safe(key: str) -> str:
    if not (0 < len(key) <= KEY_MAX_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidMessage(422, f"idempotency_key: not 1 to {KEY_MAX_LENGTH} printable ASCII characters: {key!r}")
    return key


def _encode(fields: Fields) -> str:
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()  # a lone surrogate is a str, but not UTF-8
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidMessage(422, f"cannot be written as UTF-8 JSON: {exc}") from exc
    return text
