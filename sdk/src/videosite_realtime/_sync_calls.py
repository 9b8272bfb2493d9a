"""The calls that publish, for code without an event loop: each is described where its asynchronous twin is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic

from videosite_realtime._calls import Done, Item
from videosite_realtime._composer import Composer
from videosite_realtime.requests import Audience, Expiry, Fields, Level, Publish, PublishBatch, UserId


class SyncCalls(ABC, Generic[Done, Item]):
    """Composes what is to be told; how it gets there is up to the subclass."""

    def __init__(self, compose: Composer) -> None:
        self._compose = compose

    @abstractmethod
    def _publish(self, request: Publish) -> Done: ...

    @abstractmethod
    def _publish_all(self, request: PublishBatch) -> list[Item]: ...

    # --- transcodes: to the admin pool, and to the video's owner if one is named

    def notify_transcode_progress(
        self,
        video_id: int,
        status: str,
        progress: float,
        message: str = "",
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        return self._publish(
            self._compose.transcode_progress(video_id, status, progress, message, user_id, idempotency_key)
        )

    def notify_transcode_complete(
        self,
        video_id: int,
        title: str,
        format_type: str,
        file_size: int,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        return self._publish(
            self._compose.transcode_complete(video_id, title, format_type, file_size, user_id, idempotency_key)
        )

    def notify_transcode_failed(
        self,
        video_id: int,
        title: str,
        error: str,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        return self._publish(self._compose.transcode_failed(video_id, title, error, user_id, idempotency_key))

    # --- any other message

    def notify_system_message(
        self,
        message: str,
        level: Level = "info",
        target: Audience = "admin",
        *,
        expires_at: Expiry = None,
        idempotency_key: str | None = None,
    ) -> Done:
        return self._publish(self._compose.system_message(message, level, target, expires_at, idempotency_key))

    def send_personal_message(
        self, message: Fields, user_id: UserId, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Done:
        return self._publish(self._compose.message({"users": [user_id]}, message, expires_at, idempotency_key))

    def send_admin_message(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Done:
        return self._publish(self._compose.message("admin", message, expires_at, idempotency_key))

    def broadcast(self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None) -> Done:
        return self._publish(self._compose.message("all", message, expires_at, idempotency_key))

    # --- many at once

    def notify_batch(self, items: Iterable[Fields]) -> list[Item]:
        return self._publish_all(self._compose.notifications(items))

    def send_batch(self, items: Iterable[Fields]) -> list[Item]:
        return self._publish_all(self._compose.messages(items))
