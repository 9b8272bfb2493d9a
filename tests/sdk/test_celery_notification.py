"""The ready Celery task, run in this process: what it sends, what it tries again, what it gives up at once.

In a real worker on a real broker it is run by ``tests/integration/test_celery.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from videosite_realtime import InvalidMessage, KeyReused, SyncNotificationService
from videosite_realtime import celery as module
from videosite_realtime.celery import send_notification

from tests.sdk.router_stub import KEY_REUSED, ONE_ATTEMPT, Reply, Router

PROGRESS = {"video_id": 123, "status": "processing", "progress": 45, "user_id": 7}
ORDER = {"audience": {"users": [7]}, "message": {"order": 10482}}
NO_REDIS = Reply(503, {"detail": "no Redis"})
UNKNOWN = Reply(401, {"detail": "the service key is wrong"})


@pytest.fixture(autouse=True)
def app(router: Router, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    monkeypatch.delenv("NOTIFICATIONS_BY", raising=False)
    with Celery(set_as_current=True) as app, SyncNotificationService(retry=ONE_ATTEMPT) as service:
        monkeypatch.setattr(module, "_by_http", service)
        app.conf.update(task_always_eager=True, broker_url="memory://")
        yield app


def run(message_type: Any, data: Any) -> Any:
    """Run the task as an eager worker does, retries included."""
    return send_notification.apply_async((message_type, data), task_id="task-1")


def test_a_typed_message_is_its_fields(router: Router) -> None:
    assert run("transcode_progress", PROGRESS).successful()
    (asked,) = router.asked
    assert asked.path == "/api/v1/notifications"
    assert asked.body.pop("sent_at") > 1.7e15
    assert (asked.body, asked.key) == ({"type": "transcode_progress", **PROGRESS}, "task-1")


def test_a_custom_message_is_its_audience_and_its_message(router: Router) -> None:
    assert run("order_paid", {**ORDER, "expires_at": 2_000_000_000}).successful()
    (asked,) = router.asked
    assert asked.path == "/api/v1/messages"
    message = {"type": "order_paid", "order": 10482}
    assert asked.body == {**ORDER, "message": message, "expires_at": 2_000_000_000}


def test_a_key_of_the_callers_counts_more_than_the_tasks_id(router: Router) -> None:
    run("order_paid", {**ORDER, "idempotency_key": "order-10482"})
    assert router.asked[0].key == "order-10482"
    assert "idempotency_key" not in router.asked[0].body


@pytest.mark.parametrize("trouble", [NO_REDIS, UNKNOWN, Reply(502, "<html>a proxy's page</html>")], ids=str)
def test_what_is_not_the_messages_fault_is_tried_again_with_the_same_bytes(router: Router, trouble: Reply) -> None:
    before = len(router.asked)
    router.answers(*[trouble] * 3)
    run("transcode_progress", PROGRESS)
    told = {(asked.text, asked.key) for asked in router.asked[before:]}
    assert len(router.asked) >= 4
    assert len(told) == 1


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        ("order_paid", {"order": 1}),
        ("order_paid", {"audience": "all"}),
        ("order_paid", {"audience": "all", "message": {"type": "another"}}),
        ("transcode_progress", {**PROGRESS, "type": "transcode_failed"}),
        ("transcode_progress", [PROGRESS]),
        ("", ORDER),
        (5, ORDER),
    ],
)
def test_what_is_no_message_fails_at_once_and_asks_nobody(router: Router, message_type: Any, data: Any) -> None:
    assert isinstance(run(message_type, data).result, InvalidMessage)
    assert router.asked == []


@pytest.mark.parametrize(
    ("reply", "error"), [(Reply(422, {"detail": []}), InvalidMessage), (KEY_REUSED, KeyReused)], ids=["422", "409"]
)
def test_what_the_router_refuses_fails_at_once(router: Router, reply: Reply, error: type[Exception]) -> None:
    router.answers(reply)
    assert isinstance(run("order_paid", ORDER).result, error)
    assert len(router.asked) == 1


def test_the_time_of_a_state_is_that_of_the_call_and_a_retry_keeps_it(router: Router) -> None:
    run("transcode_progress", {**PROGRESS, "sent_at": 5})
    run_by_keyword = send_notification.apply_async(kwargs={"message_type": "transcode_progress", "data": PROGRESS})
    assert run_by_keyword.successful()
    first, second = (asked.body["sent_at"] for asked in router.asked)
    assert first == 5
    assert second > 1.7e15


def test_without_that_moment_a_task_by_name_is_ordered_as_it_arrives(router: Router) -> None:
    """A worker's own time would make every retry another message."""
    send_notification.apply(("transcode_progress", PROGRESS), task_id="by-name")
    assert "sent_at" not in router.asked[0].body


def test_called_like_a_function_it_is_a_function(router: Router) -> None:
    assert send_notification("transcode_progress", PROGRESS) == "admin.17-1"
    assert router.asked[0].body["sent_at"] > 1.7e15


def test_a_way_that_is_none_is_named(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFICATIONS_BY", "pigeon")
    monkeypatch.setattr(send_notification, "max_retries", 0)
    result = run("order_paid", ORDER).result
    assert str(result) == "NOTIFICATIONS_BY is neither http nor queue: 'pigeon'"
