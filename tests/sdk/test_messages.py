"""What each call puts on the wire."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Iterator

import pytest
from videosite_realtime import (
    InvalidMessage,
    NotificationService,
    Receipt,
    SyncNotificationService,
)
from videosite_realtime._clock import RisingClock

from tests.sdk.router_stub import KEY, TRACE_ID, Router

RECEIVED = Receipt(id="admin.17-1", ids={"admin": "admin.17-1"}, nodes=2, online=True, trace_id=TRACE_ID)


@pytest.fixture
def service(router: Router) -> Iterator[SyncNotificationService]:
    with SyncNotificationService() as service:
        yield service


async def test_progress_carries_its_fields_the_key_and_the_producers_time(router: Router) -> None:
    before = time.time_ns() // 1000
    async with NotificationService() as service:
        receipt = await service.notify_transcode_progress(123, "processing", 45, "已完成720p转码", user_id=7)
    (asked,) = router.asked
    sent_at = asked.body.pop("sent_at")
    assert before <= sent_at <= time.time_ns() // 1000
    assert asked.body == {
        "type": "transcode_progress",
        "video_id": 123,
        "status": "processing",
        "progress": 45,
        "message": "已完成720p转码",
        "user_id": 7,
    }
    assert "已完成720p转码" in asked.text
    assert (asked.method, asked.path) == ("POST", "/api/v1/notifications")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"
    assert len(asked.key) == 36
    assert receipt == RECEIVED


def test_complete_and_failed_carry_the_producers_time_too(service: SyncNotificationService, router: Router) -> None:
    service.notify_transcode_complete(123, "示例视频", "av1", 1024000000, user_id="anna")
    service.notify_transcode_failed(123, "示例视频", "FFmpeg process exited with code 1")
    complete, failed = (asked.body for asked in router.asked)
    assert complete.pop("sent_at") < failed.pop("sent_at")
    assert complete == {
        "type": "transcode_complete",
        "video_id": 123,
        "title": "示例视频",
        "format_type": "av1",
        "file_size": 1024000000,
        "user_id": "anna",
    }
    assert failed == {
        "type": "transcode_failed",
        "video_id": 123,
        "title": "示例视频",
        "error": "FFmpeg process exited with code 1",
    }


def test_a_system_message_goes_to_the_admins_unless_told_otherwise(
    service: SyncNotificationService, router: Router
) -> None:
    service.notify_system_message("系统将于10分钟后维护", "warning")
    service.notify_system_message("hello", target={"users": [7, "8"]}, expires_at="2030-01-01T00:00:00Z")
    first, second = (asked.body for asked in router.asked)
    assert first == {
        "type": "system_message",
        "message": "系统将于10分钟后维护",
        "level": "warning",
        "target": "admin",
    }
    assert second["target"] == {"users": [7, "8"]}
    assert second["level"] == "info"
    assert second["expires_at"] == "2030-01-01T00:00:00Z"


def test_custom_messages_name_their_audience(service: SyncNotificationService, router: Router) -> None:
    message = {"type": "order_paid", "order": 10482}
    service.send_personal_message(message, 7)
    service.send_admin_message(message)
    service.broadcast(message)
    assert {asked.path for asked in router.asked} == {"/api/v1/messages"}
    assert [asked.body for asked in router.asked] == [
        {"audience": {"users": [7]}, "message": message},
        {"audience": "admin", "message": message},
        {"audience": "all", "message": message},
    ]


def test_a_typed_message_to_a_chosen_audience_is_stamped_as_well(
    service: SyncNotificationService, router: Router
) -> None:
    service.send_personal_message({"type": "transcode_progress", "video_id": 1, "status": "queued", "progress": 0}, 7)
    assert router.asked[0].body["sent_at"] > 0


def test_counters_come_back_as_the_four_the_cluster_has(service: SyncNotificationService, router: Router) -> None:
    assert service.get_connection_count() == {
        "total_users": 50,
        "total_user_connections": 65,
        "total_admin_connections": 5,
        "total_connections": 70,
    }
    (asked,) = router.asked
    assert (asked.method, asked.path) == ("GET", "/api/v1/stats")
    assert "idempotency-key" not in asked.headers


def test_every_message_has_a_key_of_its_own_unless_the_caller_gives_one(
    service: SyncNotificationService, router: Router
) -> None:
    for _ in range(2):
        service.broadcast({"type": "tick"})
    service.broadcast({"type": "tick"}, idempotency_key="order-10482")
    assert len({asked.key for asked in router.asked}) == 3
    assert router.asked[2].key == "order-10482"


@pytest.mark.parametrize("key", ["", "x" * 256, "钥匙", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused_before_sending(
    service: SyncNotificationService, router: Router, key: str
) -> None:
    with pytest.raises(InvalidMessage, match="idempotency_key"):
        service.broadcast({"type": "tick"}, idempotency_key=key)
    assert router.asked == []


@pytest.mark.parametrize("progress", [math.nan, math.inf])
def test_what_is_not_json_is_refused_before_sending(
    service: SyncNotificationService, router: Router, progress: float
) -> None:
    with pytest.raises(InvalidMessage, match="JSON"):
        service.notify_transcode_progress(1, "processing", progress)
    with pytest.raises(InvalidMessage, match="JSON"):
        service.broadcast({"type": "half a character: \ud83d"})
    assert router.asked == []


def test_the_two_services_have_the_same_calls() -> None:
    def calls(service: type) -> dict[str, inspect.Signature]:
        public = inspect.getmembers(service, inspect.isfunction)
        return {name: inspect.signature(call) for name, call in public if not name.startswith("_")}

    asynchronous, synchronous = calls(NotificationService), calls(SyncNotificationService)
    asynchronous["close"] = asynchronous.pop("aclose")
    assert asynchronous == synchronous


def test_the_clock_never_tells_the_same_time_twice_even_when_it_is_set_back() -> None:
    times = iter([1_000, 1_000, 400, 1_001, 5_000])
    clock = RisingClock(lambda: next(times))
    assert [clock() for _ in range(5)] == [1_000, 1_001, 1_002, 1_003, 5_000]


async def test_stamps_rise_in_the_order_of_the_calls(router: Router) -> None:
    async with NotificationService() as service:
        await asyncio.gather(*(service.notify_transcode_progress(1, "processing", step) for step in range(20)))
    stamps = {asked.body["progress"]: asked.body["sent_at"] for asked in router.asked}
    assert [stamps[step] for step in range(20)] == sorted(set(stamps.values()))
