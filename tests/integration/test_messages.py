"""What arrives: the right fields, every byte, in order."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import pytest

from tests.support.client import Message
from tests.support.cluster import Cluster, Router

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

TYPED: dict[str, dict[str, Any]] = {
    "transcode_complete": {"title": "示例视频", "format_type": "av1", "file_size": 1024000000},
    "transcode_failed": {"title": "示例视频", "error": "FFmpeg process exited with code 1"},
    "transcode_progress": {"status": "processing", "progress": 45, "message": "已完成720p转码 (2/3)"},
}


def number_of(message: Message) -> tuple[str, int, int]:
    """Return stream, epoch and n of a message's id."""
    stream, _, position = message["id"].rpartition(".")
    epoch, _, n = position.partition("-")
    return stream, int(epoch), int(n)


def check_timestamp(message: Message) -> None:
    stamp = message.pop("timestamp")
    assert TIMESTAMP.fullmatch(stamp)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert stamp[:10] <= now[:10]
    assert abs(_seconds(now) - _seconds(stamp)) < 10


def _seconds(stamp: str) -> float:
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize("kind", TYPED)
async def test_a_transcode_message_has_exactly_its_fields_for_admin_and_owner(cluster: Cluster, kind: str) -> None:
    owner, video = cluster.number(), cluster.number()
    async with cluster.admin() as page, cluster.user(owner) as browser:
        answer = await cluster.router.notify(kind, video_id=video, user_id=owner, **TYPED[kind])
        for client, label in ((page, "admin"), (browser, f"user:{owner}")):
            message = await client.receive(kind)
            while message["video_id"] != video:  # an admin is shown other tests' transcodes as well
                message = await client.receive(kind)
            check_timestamp(message)
            expected = {"type": kind, "video_id": video, **TYPED[kind]}
            if kind != "transcode_progress":
                expected["id"] = answer["ids"][label]
            assert message == expected


async def test_a_system_message_has_exactly_its_fields(cluster: Cluster) -> None:
    async with cluster.admin() as page:
        answer = await cluster.router.notify("system_message", message="系统将于10分钟后维护", level="warning")
        message = await page.receive("system_message")
        check_timestamp(message)
        assert message == {
            "type": "system_message",
            "message": "系统将于10分钟后维护",
            "level": "warning",
            "id": answer["id"],
        }
        await cluster.router.notify("system_message", message="fine")
        assert (await page.receive("system_message"))["level"] == "info"


async def test_a_typed_message_by_the_general_call_is_the_same(cluster: Cluster) -> None:
    user, video = cluster.number(), cluster.number()
    async with cluster.user(user) as browser:
        await cluster.router.send(
            {"users": [user]}, {"type": "transcode_complete", "video_id": video, **TYPED["transcode_complete"]}
        )
        message = await browser.receive("transcode_complete")
        assert message.keys() == {"type", "video_id", "title", "format_type", "file_size", "timestamp", "id"}


async def test_the_message_of_a_progress_defaults_to_nothing(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    async with cluster.user(owner) as browser:
        await cluster.router.notify("transcode_progress", video_id=video, user_id=owner, status="queued", progress=0)
        assert (await browser.receive("transcode_progress"))["message"] == ""


TEXTS = {
    "Chinese": "已完成720p转码 (2/3)，感谢您的耐心等待。",
    "emoji": "🎬👩‍👩‍👧‍👦🇩🇪é\u0301",
    "quotes": "\"double\" 'single' \\ back / slash </script>",
    "control characters": "tab\t line\n return\r nul\x00 bell\x07 \x7f \u2028\u2029",
    "right to left": "مرحبا שלום",
    "beyond the basic plane": "𠜎𠜱𝒳\U0010ffff",
    "60 KB": "转码" * 10_000,
    "looks like our closing": '","id":"admin.1-1"}',
}


@pytest.mark.parametrize("what", TEXTS)
async def test_text_arrives_byte_for_byte(cluster: Cluster, what: str) -> None:
    user = cluster.number()
    message = {"type": "custom", "text": TEXTS[what], TEXTS[what][:20]: [1, None, {"深": True}]}
    async with cluster.user(user) as browser:
        answer = await cluster.router.send({"users": [user]}, message)
        assert await browser.receive("custom") == message | {"id": answer["id"]}
        if what in ("Chinese", "emoji", "60 KB"):
            assert TEXTS[what] in browser.texts[-1], "no escapes: every byte of UTF-8 is the caller's"


async def test_numbers_arrive_as_they_were_sent(cluster: Cluster) -> None:
    user = cluster.number()
    message = {"type": "numbers", "values": [0, -1, 1.5, 1e-7, 2**53, 10**30, True, None], "0": {"deep": [[[]]]}}
    async with cluster.user(user) as browser:
        await cluster.router.send({"users": [user]}, message)
        received = await browser.receive("numbers")
        assert received["values"] == message["values"]
        assert received["0"] == message["0"]


async def test_ids_of_a_stream_have_no_gap_and_begin_after_the_cursor(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        own = browser.connected["cursor"].split(",")[0]
        for index in range(10):
            await cluster.router.send({"users": [user]}, {"type": "counted", "index": index})
            await cluster.router.send({"users": [cluster.number()]}, {"type": "somebody_else"})
        received = await browser.receive_many("counted", 10)
        assert [message["index"] for message in received] == list(range(10))
        stream, epoch, n = number_of({"id": own})
        assert [number_of(message) for message in received] == [(stream, epoch, n + 1 + i) for i in range(10)]


async def test_two_hundred_messages_through_two_routers_at_once_arrive_once_and_in_the_order_of_their_ids(
    cluster: Cluster,
) -> None:
    user = cluster.number()

    async def publish(router: Router, name: str) -> list[str]:
        ids = []
        async with router.http() as http:
            for index in range(100):
                body = {"audience": {"users": [user]}, "message": {"type": "order", "from": name, "index": index}}
                answer = await http.post(
                    "/api/v1/messages", json=body, headers={"Authorization": f"Bearer {cluster.api_key}"}
                )
                assert answer.status_code == 202
                ids.append(answer.json()["id"])
        return ids

    async with cluster.user(user) as here, cluster.user(user, node=cluster.nodes[1]) as there:
        published = await asyncio.gather(publish(cluster.routers[0], "a"), publish(cluster.routers[1], "b"))
        for browser in (here, there):
            received = await browser.receive_many("order", 200)
            numbers = [number_of(message)[2] for message in received]
            assert numbers == list(range(numbers[0], numbers[0] + 200))
            for name, ids in zip("ab", published, strict=True):
                mine = [message for message in received if message["from"] == name]
                assert [message["index"] for message in mine] == list(range(100))
                assert [message["id"] for message in mine] == ids
            await browser.nothing_else()


async def test_a_message_reaches_its_user_on_every_node(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as here, cluster.user(user, node=cluster.nodes[1]) as there:
        answer = await cluster.router.send({"users": [user]}, {"type": "everywhere"})
        assert answer["nodes"] == 2
        assert answer["online"] is True
        assert await here.receive("everywhere") == await there.receive("everywhere")


async def test_one_message_to_several_users_has_an_id_for_each(cluster: Cluster) -> None:
    users = [cluster.number() for _ in range(3)]
    async with cluster.user(users[0]) as first, cluster.user(users[1], node=cluster.nodes[1]) as second:
        answer = await cluster.router.send({"users": [*users, users[0]]}, {"type": "shared"})
        assert answer["ids"].keys() == {f"user:{user}" for user in users}
        assert answer["id"] == answer["ids"][f"user:{users[0]}"]
        assert answer["nodes"] == 2
        assert (await first.receive("shared"))["id"] == answer["ids"][f"user:{users[0]}"]
        assert (await second.receive("shared"))["id"] == answer["ids"][f"user:{users[1]}"]
        await cluster.nobody_hears(first, second)


async def test_an_event_whose_time_is_over_is_not_delivered(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        for over in ("2020-01-01T00:00:00Z", 1577836800, time.time() - 1):
            await cluster.router.send({"users": [user]}, {"type": "too_late"}, expires_at=over)
        await cluster.router.send({"users": [user]}, {"type": "in_time"}, expires_at=time.time() + 60)
        await browser.receive("in_time")
        await cluster.nobody_hears(browser)


async def test_a_custom_message_may_carry_its_own_expires_at(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        await cluster.router.send({"users": [user]}, {"type": "old", "expires_at": "2020-01-01T00:00:00Z"})
        await cluster.router.send({"users": [user]}, {"type": "new", "expires_at": "2120-01-01T00:00:00Z"})
        assert json.loads(json.dumps(await browser.receive("new")))["expires_at"] == "2120-01-01T00:00:00Z"
        await cluster.nobody_hears(browser)
