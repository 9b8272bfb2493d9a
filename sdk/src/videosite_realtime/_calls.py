"""The calls that publish, whichever way messages go. Their synchronous twins have the same names and arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

from videosite_realtime._composer import Composer
from videosite_realtime.requests import Audience, Expiry, Fields, Level, Publish, PublishBatch, UserId

Done = TypeVar("Done")  # what is known of a message that was taken
Item = TypeVar("Item")  # and of one of a batch


class Calls(ABC, Generic[Done, Item]):
    """Composes what is to be told; how it gets there is up to the subclass."""

    def __init__(self, compose: Composer) -> None:
        self._compose = compose

    @abstractmethod
    async def _publish(self, request: Publish) -> Done: ...

    @abstractmethod
    async def _publish_all(self, request: PublishBatch) -> list[Item]: ...

    # --- transcodes: to the admin pool, and to the video's owner if one is named

    async def notify_transcode_progress(
        self,
        video_id: int,
        status: str,
        progress: float,
        message: str = "",
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        """Say how far a transcode is, 0 to 100. Only a video's newest progress counts, by the time of this call."""
        return await self._publish(
            self._compose.transcode_progress(video_id, status, progress, message, user_id, idempotency_key)
        )

    async def notify_transcode_complete(
        self,
        video_id: int,
        title: str,
        format_type: str,
        file_size: int,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        """Say that a format of a video is ready; ``file_size`` in bytes."""
        return await self._publish(
            self._compose.transcode_complete(video_id, title, format_type, file_size, user_id, idempotency_key)
        )

    async def notify_transcode_failed(
        self,
        video_id: int,
        title: str,
        error: str,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Done:
        """Say that a transcode failed, and why."""
        return await self._publish(self._compose.transcode_failed(video_id, title, error, user_id, idempotency_key))

    # --- any other message

    async def notify_system_message(
        self,
        message: str,
        level: Level = "info",
        target: Audience = "admin",
        *,
        expires_at: Expiry = None,
        idempotency_key: str | None = None,
    ) -> Done:
        """Show a notice to the admin pool, to ``"all"`` or to ``{"users": [7, 8]}``.

        After ``expires_at``, RFC 3339 text or seconds since the Unix epoch, nobody is shown it any more.
        """
        return await self._publish(self._compose.system_message(message, level, target, expires_at, idempotency_key))

    async def send_personal_message(
        self, message: Fields, user_id: UserId, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Done:
        """Send a JSON object with a ``type`` to all connections of a user."""
        return await self._publish(self._compose.message({"users": [user_id]}, message, expires_at, idempotency_key))

    async def send_admin_message(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Done:
        """Send a JSON object with a ``type`` to the admin pool."""
        return await self._publish(self._compose.message("admin", message, expires_at, idempotency_key))

    async def broadcast(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Done:
        """Send a JSON object with a ``type`` to every connection of the cluster."""
        return await self._publish(self._compose.message("all", message, expires_at, idempotency_key))

    # --- many at once

    async def notify_batch(self, items: Iterable[Fields]) -> list[Item]:
        """Send up to 1,000 typed messages in one call, and return what became of each, in order.

        Args:
            items: the fields of one message each, such as ``{"type": "transcode_progress", "video_id": 123, …}``, with
                ``user_id`` or ``target``, ``expires_at`` and ``idempotency_key`` if wanted. A bad one harms no other,
                unless it cannot be written as JSON: then nothing is sent.
        """
        return await self._publish_all(self._compose.notifications(items))

    async def send_batch(self, items: Iterable[Fields]) -> list[Item]:
        """Send up to 1,000 messages to any audiences in one call, and return what became of each, in order.

        Args:
            items: ``{"audience": "admin" | "all" | {"users": […]}, "message": {"type": …}}`` each, with ``expires_at``
                and ``idempotency_key`` if wanted. A bad one harms no other, unless it cannot be written as JSON: then
                nothing is sent.
        """
        return await self._publish_all(self._compose.messages(items))
