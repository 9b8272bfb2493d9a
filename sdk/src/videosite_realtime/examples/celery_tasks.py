"""The transcoder as Celery tasks: ``celery -A videosite_realtime.examples.celery_tasks worker``.

``CELERY_BROKER_URL`` names the broker, ``ROUTER_URL`` and ``ROUTER_API_KEY`` the router. Every call to the service
has a loop of its own, ``asyncio.run(notification_service.…)``, which is how tasks are written.

| what happens                        | what follows                                                                  |
| ----------------------------------- | ----------------------------------------------------------------------------- |
| FFmpeg cannot convert the video     | `transcode_failed`; the job failed. It would fail again: no retry.            |
| the machine is in trouble (OSError) | the job is retried, three times; then `transcode_failed`.                     |
| the worker is killed                | the job runs again (`task_acks_late`).                                        |
| the router is away for a while      | the service retries. Progress is left out after 2 s: the next says more. A    |
|                                     | result becomes a task of its own after 30 s, `resend`: no video waits for it. |

A job that runs again says nothing twice: the key of each result is made of the job's id, which Celery keeps through
retries, and the router answers `KeyReused` to what an earlier run has told. `resend` sends the same bytes again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from celery import Celery, Task
from celery.signals import worker_process_init, worker_process_shutdown

from videosite_realtime import (
    KeyReused,
    NotificationService,
    Publish,
    Receipt,
    RetryPolicy,
    Undelivered,
    notification_service,
)
from videosite_realtime.examples import telemetry
from videosite_realtime.examples.ffmpeg import FFmpeg, FFmpegFailed
from videosite_realtime.examples.transcode import Converted, Progressed, renditions_of, throttled, transcode

_log = logging.getLogger(__name__)

LONGEST_JOB: Final = 6 * 3600  # s; a Redis broker gives a job that takes longer to a second worker
RETRY_PAUSE: Final = 60  # s
RESEND_MAX: Final = 900  # times a minute and a half at most: less than the 24 hours for which routers remember a key

app = Celery("videosite", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": LONGEST_JOB},
)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _trace(**_: Any) -> None:
    """Put every job under a span that continues the trace of whoever ordered it; calls to the service nest there."""
    export_last = telemetry.configure("videosite-transcoder")
    if export_last is not None and find_spec("opentelemetry.instrumentation"):
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
        worker_process_shutdown.connect(lambda **_: export_last(), weak=False)


progress_service = NotificationService(retry=RetryPolicy(deadline=2))


@app.task(bind=True, max_retries=3, throws=(FFmpegFailed,))  # type: ignore[untyped-decorator]
def transcode_video(
    self: Task, video_id: int, title: str, source: str, target: str, user_id: int | str | None = None
) -> None:
    """Convert a video to all formats, into the directory ``target``, and tell the admins and its owner."""
    Path(target).mkdir(parents=True, exist_ok=True)
    told = Path(target) / f".{self.request.id}.told"
    if told.exists():
        # Killed between its last words and its acknowledgement. Progress would raise the video from the dead.
        return
    try:
        ffmpeg = FFmpeg.find()
        with closing(throttled(transcode(ffmpeg, Path(source), Path(target), renditions_of(ffmpeg)))) as steps:
            for step in steps:
                match step:
                    case Progressed():
                        _tell_progress(video_id, step, user_id)
                    case Converted():
                        _tell_complete(self.request.id, video_id, title, step, user_id)
    except (FFmpegFailed, OSError) as exc:
        if isinstance(exc, OSError) and self.request.retries < self.max_retries:
            raise self.retry(exc=exc, countdown=RETRY_PAUSE) from exc
        _tell_failed(self.request.id, video_id, title, str(exc), user_id)
        told.touch()
        raise
    told.touch()


@app.task(bind=True, max_retries=RESEND_MAX)  # type: ignore[untyped-decorator]
def resend(self: Task, path: str, body: str, idempotency_key: str) -> None:
    """Send a result that was given up: the same bytes under the same key, until the router takes it."""
    try:
        asyncio.run(notification_service.resend(Publish(path, body, idempotency_key)))
    except KeyReused:
        _log.info("another run of its job has told it")
    except Undelivered as exc:
        raise self.retry(exc=exc, countdown=RETRY_PAUSE) from exc


def _tell_progress(video_id: int, step: Progressed, user_id: int | str | None) -> None:
    try:
        asyncio.run(
            progress_service.notify_transcode_progress(
                video_id=video_id, status="processing", progress=step.percent, message=step.message, user_id=user_id
            )
        )
    except Undelivered as exc:
        _log.warning("progress left out: %s", exc)


def _tell_complete(job: str, video_id: int, title: str, step: Converted, user_id: int | str | None) -> None:
    format_type = step.rendition.format_type
    _tell_result(
        notification_service.notify_transcode_complete(
            video_id=video_id,
            title=title,
            format_type=format_type,
            file_size=step.size,
            user_id=user_id,
            idempotency_key=f"{job}:complete:{format_type}",
        )
    )


def _tell_failed(job: str, video_id: int, title: str, error: str, user_id: int | str | None) -> None:
    _tell_result(
        notification_service.notify_transcode_failed(
            video_id=video_id, title=title, error=error, user_id=user_id, idempotency_key=f"{job}:failed"
        )
    )


def _tell_result(telling: Coroutine[Any, Any, Receipt]) -> None:
    try:
        asyncio.run(telling)
    except KeyReused:
        _log.info("another run of this job has told it")
    except Undelivered as exc:
        _log.warning("resent later: %s", exc)
        resend.delay(**asdict(exc.request))
