"""The queue of the SDK: what it appends, when it tries again, and when it gives up."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from redis.exceptions import AuthenticationError, ConnectionError, OutOfMemoryError
from videosite_realtime import (
    ConfigurationError,
    InvalidMessage,
    NotificationService,
    Publish,
    PublishBatch,
    RetryPolicy,
    Undelivered,
)
from videosite_realtime._delivery import Wait
from videosite_realtime._queue_access import Given, QueueAccess
from videosite_realtime._queue_delivery import Append, Queued, append
from videosite_realtime._tracing import Call
from videosite_realtime.queue import NotificationQueue
from videosite_realtime.sync_queue import SyncNotificationQueue

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

KEY = "sdk:queue:{c}"
ACCESS = QueueAccess("redis://nowhere", KEY, 100)
PUBLISH = Publish("/api/v1/messages", '{"audience":"all","message":{"type":"x"}}', "k")
BATCH = PublishBatch(
    "/api/v1/notifications/batch",
    '{"items":[{"type":"a","idempotency_key":"k1"},{"type":"b","idempotency_key":"k2"}]}',
)


class Traced(Call):
    def headers(self) -> dict[str, str]:
        return {"traceparent": "00-trace"}


def appending(request: Any = PUBLISH, *, deadline: float = 10, call: Call | None = None) -> Any:
    now = iter(range(1000))
    retry = RetryPolicy(deadline=deadline)
    return append(request, ACCESS, retry, call or Call(), clock=lambda: float(next(now)), jitter=lambda: 1.0)


# --- without Redis


def test_a_message_is_kind_body_key_and_trace() -> None:
    conversation = appending(call=Traced())
    step = conversation.send(None)
    assert isinstance(step, Append)
    _, keys, key, most, trace, *entry = step.arguments
    assert (keys, key, most, trace, entry) == (1, KEY, 100, "00-trace", ["messages", PUBLISH.body, "k"])
    with pytest.raises(StopIteration) as done:
        conversation.send([b"5-1"])
    assert done.value.value == [Queued("5-1", "k")]


def test_the_items_of_a_batch_are_entries_under_their_own_keys() -> None:
    conversation = appending(BATCH)
    *_, trace, a, b, c, d, e, f = conversation.send(None).arguments
    assert trace == ""
    assert (a, b, c, d, e, f) == ("notifications", '{"type":"a"}', "k1", "notifications", '{"type":"b"}', "k2")


@pytest.mark.parametrize("trouble", [ConnectionError("gone"), OutOfMemoryError("OOM"), OSError("no route"), 100])
def test_trouble_is_waited_out_and_the_same_is_appended_again(trouble: Any) -> None:
    conversation = appending()
    first = conversation.send(None)
    assert isinstance(conversation.send(trouble), Wait)
    assert conversation.send(None) == first


def test_a_queue_that_stays_full_is_told_at_the_deadline_with_what_can_be_resent() -> None:
    conversation = appending(deadline=1)
    conversation.send(None)
    with pytest.raises(Undelivered, match="the queue is full: 100 entries wait for a router") as given_up:
        conversation.send(100)
    assert given_up.value.request is PUBLISH


def test_a_wrong_password_is_no_reason_to_try_again() -> None:
    conversation = appending()
    conversation.send(None)
    with pytest.raises(ConfigurationError, match="QUEUE_URL is refused by Redis: WRONGPASS"):
        conversation.send(AuthenticationError("WRONGPASS"))


def test_an_item_that_is_no_object_is_named_before_anything_is_appended() -> None:
    with pytest.raises(InvalidMessage, match=r"items\.1"):
        appending(PublishBatch("/api/v1/messages/batch", '{"items":[{"idempotency_key":"k"},5]}')).send(None)


BAD = [
    ({}, "QUEUE_URL"),
    ({"QUEUE_URL": "http://redis"}, "QUEUE_URL"),
    ({"QUEUE_URL": "redis://:secret@redis", "QUEUE_MAX_LENGTH": "many"}, "QUEUE_MAX_LENGTH"),
    ({"QUEUE_URL": "redis://redis", "QUEUE_MAX_LENGTH": "0"}, "QUEUE_MAX_LENGTH"),
]


@pytest.mark.parametrize(("environ", "variable"), BAD)
def test_a_setting_that_is_wrong_is_named_without_its_secrets(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        QueueAccess.find(Given(), environ)
    assert refused.value.variable == variable
    assert "secret" not in str(refused.value)


def test_settings_come_from_the_environment_and_what_is_given_goes_before_it() -> None:
    environ = {"QUEUE_URL": "redis://a", "QUEUE_PREFIX": "p", "QUEUE_MAX_LENGTH": "7"}
    assert QueueAccess.find(Given(), environ) == QueueAccess("redis://a", "p:queue:{c}", 7)
    assert QueueAccess.find(Given("redis://b", "q", 8), environ) == QueueAccess("redis://b", "q:queue:{c}", 8)
    assert QueueAccess.find(Given("redis://b"), {}) == QueueAccess("redis://b", "vsrt:queue:{c}", 100_000)
    assert "redis://b" not in repr(QueueAccess.find(Given("redis://b"), {}))


def test_all_ways_have_the_same_calls() -> None:
    def calls(of: type) -> dict[str, list[str]]:
        names = [name for name in dir(of) if name.startswith(("notify_", "send_", "broadcast"))]
        return {name: list(inspect.signature(getattr(of, name)).parameters) for name in names}

    assert calls(NotificationQueue) == calls(SyncNotificationQueue) == calls(NotificationService)
    assert len(calls(NotificationQueue)) == 9


# --- with Redis


@pytest.fixture
async def server(redis_server: RedisServer) -> AsyncIterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.delete(KEY)
        yield client
        client.delete(KEY)


def entries(server: redis.Redis) -> list[dict[str, str]]:
    return [fields for _, fields in server.xrange(KEY)]


def test_both_twins_append_what_the_service_would_send(server: redis.Redis, redis_server: RedisServer) -> None:
    async def tell() -> Queued:
        return await queue.notify_transcode_progress(1, "processing", 45, user_id=7)

    queue = NotificationQueue(redis_server.url, "sdk")
    first, second = asyncio.run(tell()), asyncio.run(tell())  # a loop of its own for each, as Celery tasks have
    with SyncNotificationQueue(redis_server.url, "sdk") as twin:
        third = twin.notify_transcode_progress(1, "processing", 45, user_id=7)
    found = entries(server)
    assert [entry["key"] for entry in found] == [each.idempotency_key for each in (first, second, third)]
    bodies = [json.loads(entry["body"]) for entry in found]
    times = [body.pop("sent_at") for body in bodies]
    assert times == sorted(set(times))
    wanted = {"type": "transcode_progress", "video_id": 1, "status": "processing", "progress": 45, "message": ""}
    assert bodies == [{**wanted, "user_id": 7}] * 3
    assert {entry["kind"] for entry in found} == {"notifications"}


def test_a_batch_that_finds_no_room_is_appended_not_at_all(server: redis.Redis, redis_server: RedisServer) -> None:
    retry = RetryPolicy(deadline=0.3)
    with SyncNotificationQueue(redis_server.url, "sdk", max_length=4, retry=retry) as queue:
        items = [{"type": "system_message", "message": str(n)} for n in range(3)]
        assert len(queue.notify_batch(items)) == 3
        with pytest.raises(Undelivered) as full:
            queue.notify_batch(items)
        assert len(entries(server)) == 3
        server.delete(KEY)
        assert len(queue.resend(full.value.request)) == 3


def test_without_redis_it_gives_up_at_the_deadline() -> None:
    queue = SyncNotificationQueue(f"redis://127.0.0.1:{free_port()}/0", retry=RetryPolicy(deadline=0.3))
    with pytest.raises(Undelivered, match="Connection"):
        queue.broadcast({"type": "x"})
