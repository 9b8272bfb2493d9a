"""A ready Celery task that tells browsers something: include this module in your worker, and call it from anywhere.

    app = Celery("videosite", broker=…, include=["videosite_realtime.celery"])

    from videosite_realtime.celery import send_notification
    send_notification.delay("transcode_failed", {"video_id": 123, "title": "示例视频", "error": "exit 1", "user_id": 7})
    send_notification.delay("order_paid", {"audience": {"users": [7]}, "message": {"order": 10482}})

Needs the extra ``[celery]``. Workers find the router by ``ROUTER_URL`` and ``ROUTER_API_KEY``. With
``NOTIFICATIONS_BY=queue`` they append to the queue instead (``QUEUE_URL``; the extra ``[redis]``).

| what happens                                   | what follows                                                        |
| ---------------------------------------------- | ------------------------------------------------------------------- |
| the router or Redis is away, the queue is full | tried for five seconds, then retried with growing, jittered pauses  |
| the worker has no or a wrong key, no address   | the same: the fault is the worker's, and somebody will mend it      |
| the message is not one that may be sent        | the task fails at once: it would fail again                         |
| the worker's child is killed                   | the task runs again at once (``reject_on_worker_lost``)             |
| the worker is killed                           | the task runs again when the broker gives it out again              |
|                                                | (``acks_late``): Redis after its ``visibility_timeout``, 1 h        |

However often it runs, it tells a thing once: the idempotency key is the task's id, or ``idempotency_key`` in ``data``.
The time that orders the states of a video is that of ``delay`` or ``apply_async``, not that of the worker, so that
retries and several workers cannot swap them. ``app.send_task`` by name has no such moment: put ``sent_at`` (µs since
the Unix epoch) into ``data``, or states are ordered as they arrive.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from celery import Task, shared_task

from videosite_realtime._composer import TRANSCODES, Composer
from videosite_realtime._core import compose, sent_at
from videosite_realtime.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidMessage,
    KeyReused,
    MessageTooLarge,
    PermissionDenied,
    Undelivered,
    UnexpectedAnswer,
)
from videosite_realtime.receipts import Receipt
from videosite_realtime.requests import Publish
from videosite_realtime.retry import RetryPolicy
from videosite_realtime.sync_service import SyncNotificationService

if TYPE_CHECKING:
    from videosite_realtime.sync_queue import SyncNotificationQueue

WAY_VARIABLE: Final = "NOTIFICATIONS_BY"
LONGEST_PAUSE: Final = 600  # s
RETRIES_MAX: Final = 100  # at most 17 hours: less than the 24 for which routers remember a key
_PATIENCE: Final = RetryPolicy(deadline=5)  # waiting longer is Celery's part, without a worker's slot
_RETRIED: Final = (Undelivered, UnexpectedAnswer, ConfigurationError, AuthenticationError, PermissionDenied)
_FAULTS: Final = (InvalidMessage, MessageTooLarge, KeyReused)  # of the message: not worth a traceback

_compose = Composer(None)  # in a worker, which did not see the message come
_by_http = SyncNotificationService(retry=_PATIENCE)


class StampingTask(Task):  # type: ignore[misc]
    """Notes when a transcode message was handed to Celery: that is the producer's time."""

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        if not options.get("retries"):  # a retry must say what the first run said, or the router takes it for another
            args, kwargs = _stamped(args, kwargs)
        return super().apply_async(args, kwargs, *more, **options)


@shared_task(
    bind=True,
    base=StampingTask,
    name="videosite_realtime.send_notification",
    autoretry_for=_RETRIED,
    retry_backoff=True,
    retry_backoff_max=LONGEST_PAUSE,
    retry_jitter=True,
    max_retries=RETRIES_MAX,
    throws=_FAULTS,
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)  # type: ignore[untyped-decorator]
def send_notification(self: Task, message_type: str, data: dict[str, Any]) -> str | None:
    """Send a message to browsers.

    Args:
        message_type: of a typed message, or any of your own.
        data: the typed message's fields, with ``user_id`` or ``target``; or of a custom one its ``audience`` and
            ``message``. Both may have ``expires_at`` and ``idempotency_key``.

    Returns:
        The message's id; by way of the queue, the entry's.
    """
    fields = dict(data) if isinstance(data, Mapping) else data
    key = fields.pop("idempotency_key", None) if isinstance(fields, dict) else None
    composer = compose if self.request.called_directly else _compose
    return _send(composer.any_message(message_type, fields, key or self.request.id))


def _send(request: Publish) -> str | None:
    way = os.environ.get(WAY_VARIABLE, "").strip() or "http"
    if way == "http":
        receipt: Receipt = _by_http.resend(request)
        return receipt.id
    if way == "queue":
        return _by_queue().resend(request).id
    raise ConfigurationError(WAY_VARIABLE, f"is neither http nor queue: {way!r}")


@cache
def _by_queue() -> SyncNotificationQueue:
    from videosite_realtime.sync_queue import SyncNotificationQueue  # needs the extra [redis]

    return SyncNotificationQueue(retry=_PATIENCE)


def _stamped(args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """Return the arguments, the data of a transcode message with its time unless it has one."""
    given = dict(zip(("message_type", "data"), args or (), strict=False)) | dict(kwargs or {})
    data = given.get("data")
    if str(given.get("message_type")) not in TRANSCODES:
        return args, kwargs
    if not isinstance(data, Mapping) or data.get("sent_at") is not None:
        return args, kwargs
    stamped = {**data, "sent_at": sent_at()}
    if kwargs and "data" in kwargs:
        return args, {**kwargs, "data": stamped}
    return (*(args or ())[:1], stamped, *(args or ())[2:]), kwargs
