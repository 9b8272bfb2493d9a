"""A router reads the queue: what becomes of entries, on a real server for Redis."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from router.__main__ import build
from router.planning import Planner
from router.settings import RouterSettings
from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.otel_settings import OtelSettings
from shared.redis_link import RedisLink
from tests.router.served import KEY, metric, until_connected
from tests.shared.redis_server import RedisServer
from tests.support.waiting import until, until_equal

CUSTOM = {"audience": {"users": [7]}, "message": {"type": "order_paid", "order": 10482}}
PROGRESS = {"type": "transcode_progress", "video_id": 123, "status": "processing", "progress": 45}
COMPLETE = {"type": "transcode_complete", "video_id": 123, "title": "示例视频", "format_type": "av1", "file_size": 1024}


class Queue:
    """Appends as a producer with redis-cli would, and looks at what came of it."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self.link, self.keys = link, keys

    async def append(self, kind: str, body: Any, **more: str) -> str:
        text = body if isinstance(body, str) else json.dumps(body)
        return await self.write(kind=kind, body=text, **more)

    async def write(self, **fields: str) -> str:
        words = [word for field in fields.items() for word in field]
        entry_id: bytes = await self.link.send("XADD", self.keys.queue, "*", *words)
        return entry_id.decode()

    async def is_empty(self) -> bool:
        return await self.link.send("XLEN", self.keys.queue) == 0

    async def dead(self) -> list[dict[str, str]]:
        found = await self.link.send("XRANGE", self.keys.queue_dead, "-", "+")
        return [
            {name.decode(): value.decode() for name, value in zip(fields[::2], fields[1::2], strict=True)}
            for _, fields in found
        ]

    async def history(self, audience: str) -> list[dict[str, Any]]:
        """Return the events that an audience was told."""
        tag, stream = (
            (SHARED_TAG, audience) if audience in ("admin", "all") else (bucket(audience), user_stream(audience))
        )
        found = await self.link.send("XRANGE", self.keys.stream(tag, stream), "-", "+")
        payloads = [dict(zip(fields[::2], fields[1::2], strict=True))[b"m"] for _, fields in found]
        return [json.loads(payload + b"}") for payload in payloads]


@pytest.fixture
def queue(link: RedisLink, keys: Keys) -> Queue:
    return Queue(link, keys)


def settings(url: str, keys: Keys, **more: Any) -> RouterSettings:
    return RouterSettings(redis_url=url, redis_prefix=keys.prefix, router_api_keys=KEY, **more)


@pytest.fixture
async def router(redis_server: RedisServer, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    async with build(settings(redis_server.url, keys, http_body_max_bytes=200_000), OtelSettings()) as app:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://router/api/v1", headers=headers
        ) as client:
            await until_connected(client)
            yield client


async def test_entries_are_published_in_their_order_and_taken_off(router: httpx.AsyncClient, queue: Queue) -> None:
    for number in range(500):
        await queue.append("messages", {"audience": {"users": [7]}, "message": {"type": "n", "n": number}})
    await until(queue.is_empty)
    assert [message["n"] for message in (await queue.history("7"))] == list(range(500))[-200:]


async def test_typed_messages_go_where_they_go_by_http(router: httpx.AsyncClient, queue: Queue) -> None:
    await queue.append("notifications", {**PROGRESS, "user_id": 7})
    await queue.append("notifications", {**COMPLETE, "user_id": 7})
    await queue.append("notifications", {"type": "system_message", "message": "维护", "target": "all"})
    await until(queue.is_empty)
    assert [message["type"] for message in await queue.history("admin")] == ["transcode_complete"]
    assert [message["title"] for message in await queue.history("7")] == ["示例视频"]
    assert [message["message"] for message in await queue.history("all")] == ["维护"]
    assert (await router.get("/transcodes/123")).json()["type"] == "transcode_complete"


async def test_two_entries_of_one_key_are_one_message(router: httpx.AsyncClient, queue: Queue) -> None:
    for _ in range(2):
        await queue.append("messages", CUSTOM, key="k")
        await queue.append("messages", CUSTOM)
    await until(queue.is_empty)
    assert len(await queue.history("7")) == 3
    assert await queue.dead() == []


async def test_an_entry_that_is_taken_again_is_published_once(router: httpx.AsyncClient, queue: Queue) -> None:
    entry_id = await queue.append("messages", CUSTOM)
    await until(queue.is_empty)
    # As if the router had died before it could take it off.
    words = ("kind", "messages", "body", json.dumps(CUSTOM))
    await queue.link.send("DEL", queue.keys.queue)
    await queue.link.send("XADD", queue.keys.queue, entry_id, *words)
    await until(queue.is_empty)
    assert len(await queue.history("7")) == 1
    assert await queue.dead() == []


INVALID: list[tuple[dict[str, str], str, Any]] = [
    ({"kind": "messages", "body": "{"}, "invalid", ["body"]),
    ({"kind": "messages", "body": "{}"}, "invalid", ["body", "audience"]),
    ({"kind": "notifications", "body": json.dumps({**PROGRESS, "progress": 101})}, "invalid", ["body", "progress"]),
    ({"kind": "notifications", "body": "[]"}, "invalid", ["body"]),
    (
        {"kind": "messages", "body": json.dumps({**CUSTOM, "idempotency_key": "钥"})},
        "invalid",
        ["body", "idempotency_key"],
    ),
    ({"kind": "no", "body": "{}"}, "invalid", ["entry", "kind"]),
    ({"no": "thing"}, "invalid", ["entry", "no"]),
]


@pytest.mark.parametrize(("fields", "reason", "loc"), INVALID)
async def test_an_invalid_entry_is_set_aside_with_what_http_would_have_answered(
    router: httpx.AsyncClient, queue: Queue, fields: dict[str, str], reason: str, loc: list[str]
) -> None:
    bad = await queue.write(**fields)
    await queue.append("messages", CUSTOM)
    await until(queue.is_empty)
    (dead,) = await queue.dead()
    assert {name: dead[name] for name in fields} == fields
    assert (dead["entry"], dead["reason"]) == (bad, reason)
    detail = json.loads(dead["detail"])
    assert detail[0]["loc"] == loc
    if fields.get("kind") in ("messages", "notifications"):
        answer = await router.post(fields["kind"], content=fields["body"].encode())
        assert detail == answer.json()["detail"]
    assert len(await queue.history("7")) == 1


async def test_a_key_with_another_body_and_what_is_too_large_are_set_aside(
    router: httpx.AsyncClient, queue: Queue
) -> None:
    await queue.append("messages", CUSTOM, key="k")
    await queue.append("messages", {**CUSTOM, "audience": "all"}, key="k")
    await queue.append("messages", {**CUSTOM, "message": {"type": "long", "text": "x" * 70_000}})
    await queue.append("messages", {**CUSTOM, "message": {"type": "longer", "text": "x" * 300_000}})
    await until(queue.is_empty)
    by_reason = {
        reason: [dead for dead in await queue.dead() if dead["reason"] == reason]
        for reason in ("key reused", "too large")
    }
    assert [len(found) for found in by_reason.values()] == [1, 2]
    message, body = by_reason["too large"]
    assert "message: " in message["detail"]
    assert "body" in body["detail"]
    assert int(body["cut"]) > 300_000
    assert len(await queue.history("7")) == 1
    assert await queue.history("all") == []


async def test_a_set_aside_entry_names_its_producers_trace(router: httpx.AsyncClient, queue: Queue) -> None:
    await queue.append("messages", "{}", traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    await until(queue.is_empty)
    assert (await queue.dead())[0]["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_an_entry_on_which_the_router_fails_is_set_aside_and_holds_up_no_other(
    router: httpx.AsyncClient, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_one = Planner.read_one

    def fails(self: Planner, body: bytes, sent_at: int | None = None) -> Any:
        if b"cursed" in body:
            raise ZeroDivisionError
        return read_one(self, body, sent_at)

    monkeypatch.setattr(Planner, "read_one", fails)
    await queue.append("messages", {**CUSTOM, "message": {"type": "cursed"}})
    await queue.append("messages", CUSTOM)
    await until(queue.is_empty)
    assert [dead["reason"] for dead in await queue.dead()] == ["router error"]
    assert len(await queue.history("7")) == 1


async def test_an_entry_that_redis_refuses_for_what_it_is_holds_up_no_other(
    router: httpx.AsyncClient, queue: Queue
) -> None:
    await queue.link.send("SET", queue.keys.stream(bucket("8"), user_stream("8")), "not a stream")
    for user in (7, 8, 7):
        await queue.append("messages", {**CUSTOM, "audience": {"users": [user]}})
    await until(queue.is_empty)
    assert [dead["reason"] for dead in await queue.dead()] == ["refused by redis"]
    assert len(await queue.history("7")) == 2


async def test_an_entry_that_ends_every_router_is_set_aside_in_the_end(
    redis_server: RedisServer, keys: Keys, queue: Queue
) -> None:
    await queue.link.send("XGROUP", "CREATE", keys.queue, "routers", "0", "MKSTREAM")
    await queue.append("messages", CUSTOM)
    for _ in range(10):
        await queue.link.send("XREADGROUP", "GROUP", "routers", "one that dies", "COUNT", 1, "STREAMS", keys.queue, ">")
        await queue.link.send("XAUTOCLAIM", keys.queue, "routers", "the next", 0, "0-0")
    await queue.append("messages", CUSTOM)
    async with build(settings(redis_server.url, keys), OtelSettings()):
        await until(queue.is_empty)
    (dead,) = await queue.dead()
    assert dead["reason"] == "never finished"
    assert len(await queue.history("7")) == 1


async def test_states_without_the_producers_time_are_as_old_as_their_entries(
    router: httpx.AsyncClient, queue: Queue
) -> None:
    words = ("kind", "notifications", "body", json.dumps({**PROGRESS, "progress": 10}))
    await router.post("/notifications", json={**PROGRESS, "progress": 50, "sent_at": 1_700_000_000_000_000})
    await queue.link.send("XADD", queue.keys.queue, "1600000000000-0", *words)  # it waited very long
    await until(queue.is_empty)
    assert (await router.get("/transcodes/123")).json()["progress"] == 50


async def test_a_router_that_shall_not_read_the_queue_does_not(
    redis_server: RedisServer, keys: Keys, queue: Queue
) -> None:
    await queue.append("messages", CUSTOM)
    async with (
        build(settings(redis_server.url, keys, queue_enabled=False), OtelSettings()) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://router/api/v1") as client,
    ):
        assert await metric(client, "vsrt_router_queue_read_total") == {}
        assert not await queue.is_empty()
        assert await queue.link.send("EXISTS", keys.queue_turn) == 0


async def test_a_router_that_stops_leaves_its_turn_to_others(
    redis_server: RedisServer, keys: Keys, queue: Queue
) -> None:
    async with build(settings(redis_server.url, keys), OtelSettings()):
        await until(lambda: queue.link.send("EXISTS", keys.queue_turn))
    assert await queue.link.send("EXISTS", keys.queue_turn) == 0


async def test_metrics_tell_how_the_queue_stands(router: httpx.AsyncClient, queue: Queue) -> None:
    await queue.append("messages", CUSTOM)
    await queue.append("messages", "{}")
    await until(queue.is_empty)
    await until_equal(lambda: metric(router, "vsrt_router_queue_entries"), {'state="waiting"': 0, 'state="pending"': 0})
    assert await metric(router, "vsrt_router_queue_read_total") == {"": 2}
    assert await metric(router, "vsrt_router_queue_accepted_total") == {"": 1}
    assert (await metric(router, "vsrt_router_queue_set_aside_total"))['reason="invalid"'] == 1
    assert await metric(router, "vsrt_router_queue_turn") == {"": 1}
    assert await metric(router, "vsrt_router_queue_lag_seconds") == {"": 0}
    assert await metric(router, "messaging_client_sent_messages_total") == {'audience="user",type="custom"': 1}


async def test_what_waits_in_vain_is_seen_by_its_age(redis_server: RedisServer, keys: Keys, queue: Queue) -> None:
    """Another router has the turn, and does nothing."""
    await queue.link.send("SET", keys.queue_turn, "another")
    await queue.link.send("XADD", keys.queue, "1700000000000-0", "kind", "messages", "body", json.dumps(CUSTOM))
    async with (
        build(settings(redis_server.url, keys), OtelSettings()) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://router/api/v1") as client,
    ):

        async def seen() -> bool:
            return (await metric(client, "vsrt_router_queue_lag_seconds"))[""] > 1e6

        await until(seen)
        assert await metric(client, "vsrt_router_queue_turn") == {"": 0}


async def test_a_privileged_entry_is_audited(
    router: httpx.AsyncClient, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "audit")
    await queue.append("notifications", {"type": "system_message", "message": "", "target": "all"})
    await queue.append("notifications", {"type": "system_message", "message": "m", "target": "all"})
    await until(queue.is_empty)
    records = [record for record in caplog.records if record.name == "audit"]
    told = [(vars(record)["outcome"], vars(record)["caller"]) for record in records]
    assert told == [("refused", "queue"), ("accepted", "queue")]


async def test_redis_that_hangs_and_comes_back_loses_and_doubles_nothing(own_server: RedisServer, keys: Keys) -> None:
    async with (
        build(settings(own_server.url, keys, redis_timeout=0.5), OtelSettings()),
        RedisLink(own_server.url, name="test", timeout=30) as link,
    ):
        await link.wait_connected(20)
        queue = Queue(link, keys)
        for number in range(300):
            await queue.append("messages", {"audience": {"users": [7]}, "message": {"type": "n", "n": number}})
        own_server.pause()
        await asyncio.sleep(1)  # longer than its timeout: this is the fault, not a wait
        own_server.go_on()
        await until(queue.is_empty, timeout=20)
        seen = [message["n"] for message in await queue.history("7")]
    assert seen == list(range(300))[-len(seen) :]
