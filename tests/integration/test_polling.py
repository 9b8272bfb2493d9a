"""Polling by HTTP: what an answer brings, and to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis

from shared.ids import user_stream
from shared.keys import Keys, bucket
from tests.integration.polls import admin_poller, ids, poller
from tests.support.cluster import Cluster
from tests.support.events import send
from tests.support.poller import Poller
from tests.support.tokens import in_seconds

# --- at once


async def test_without_since_there_is_a_position_and_nothing_else(cluster: Cluster) -> None:
    user = cluster.number()
    (last,) = await send(cluster, user)
    answer = await poller(cluster, user).poll()
    assert answer["events"] == []
    assert answer["recovered"] is None
    assert answer["has_more"] is False
    assert answer["cursor"].split(",")[0] == last


async def test_a_poll_brings_the_very_bytes_of_a_socket(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as socket:
        cursor = socket.connected["cursor"]
        await send(cluster, user, text="你好 <&>")
        await send(cluster, "all", deep={"id": "x", "list": [1.5, None]})
        await socket.receive("event")
        await socket.receive("event")
    response = await poller(cluster, user).get(since=cursor)
    assert response.json()["cursor"].split(",") == [m for m in socket.since.split(",") if m]
    own, everyone = socket.texts[1:]
    assert response.content.startswith(f'{{"events":[{own},{everyone}],'.encode())


async def test_the_cursor_of_an_answer_is_good_for_a_socket_and_the_other_way_round(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    first = await send(cluster, user, 2)
    async with cluster.user(user, node=cluster.nodes[1], since=client.since) as socket:
        assert socket.connected["recovered"] is True
        assert [(await socket.receive("event"))["id"] for _ in first] == first
        client.since = socket.since
    answer = await client.poll()
    assert (answer["events"], answer["recovered"]) == ([], True)
    more = await send(cluster, user)
    assert ids(await client.poll()) == more


async def test_pages_come_in_order_and_end(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    own, everyone = await send(cluster, user, 7), await send(cluster, "all", 2)
    heard: list[str] = []
    pages = 0
    while True:
        answer = await client.poll(limit=3)
        heard += ids(answer)
        pages += 1
        assert answer["recovered"] is True
        if not answer["has_more"]:
            break
    assert [id for id in heard if id.startswith("u.")] == own
    assert [id for id in heard if id.startswith("all.")] == everyone
    assert pages == 3


async def test_an_answer_is_bounded_in_bytes(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    sent = await send(cluster, user, 40, text="x" * 60_000)
    heard: list[str] = []
    while True:
        response = await client.get(since=client.since)
        assert len(response.content) < 1_200_000
        answer = response.json()
        heard += ids(answer)
        client.since = answer["cursor"]
        if not answer["has_more"]:
            break
    assert heard == sent


async def test_an_event_that_is_over_is_passed_by(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    to = {"users": [user]}
    await cluster.router.send(to, {"type": "event"}, expires_at=in_seconds(-5))
    (alive,) = await send(cluster, user)
    answer = await client.poll()
    assert ids(answer) == [alive]


@pytest.mark.parametrize(
    "since", ["", "garbage", "{own}", "{own},{own}", "{foreign},{all}", "{admin},{all}", "{late},{all}"]
)
async def test_what_is_no_good_cursor_shows_nothing_and_says_so(cluster: Cluster, since: str) -> None:
    user, other = cluster.number(), cluster.number()
    client = poller(cluster, user)
    own, everyone = (await client.poll())["cursor"].split(",")
    foreign = (await poller(cluster, other).poll())["cursor"].split(",")[0]
    admin = (await admin_poller(cluster).poll())["cursor"].split(",")[0]
    await send(cluster, other)
    await send(cluster, user)
    stream, _, position = own.rpartition(".")
    late = f"{stream}.{position.split('-')[0]}-99"
    names = {"own": own, "all": everyone, "foreign": foreign, "admin": admin, "late": late}
    answer = await client.poll(since=since.format(**names))
    assert (answer["events"], answer["recovered"]) == ([], False)
    assert answer["cursor"].startswith(f"{stream}.")
    assert (await client.poll())["recovered"] is True


async def test_history_that_does_not_reach_back_is_told(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    since = client.since
    await send(cluster, user, 2)
    async with redis.Redis.from_url(cluster.redis.url) as server:
        assert await server.delete(Keys(cluster.prefix).stream(bucket(str(user)), user_stream(str(user)))) == 1
    answer = await client.poll(since=since)
    assert (answer["events"], answer["recovered"]) == ([], False)
    assert (await client.poll())["recovered"] is True
    async with cluster.user(user, since=since) as socket:
        assert socket.connected["recovered"] is False


# --- states


async def test_states_are_shown_and_then_only_what_is_new(cluster: Cluster) -> None:
    user = cluster.number()
    mine, other = cluster.number(), cluster.number()

    async def progress(video: int, percent: int) -> None:
        await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=percent, user_id=user)

    await progress(mine, 10)
    await progress(other, 20)
    client = poller(cluster, user)
    answer = await client.poll()
    assert {state["video_id"]: state["progress"] for state in answer["states"]} == {mine: 10, other: 20}
    assert (await client.poll(states=True))["states"] == []
    assert len((await client.poll())["states"]) == 2
    await progress(other, 30)
    answer = await client.poll(states=True)
    assert [(state["video_id"], state["progress"]) for state in answer["states"]] == [(other, 30)]


async def test_an_end_takes_its_state_along(cluster: Cluster) -> None:
    user, video = cluster.number(), cluster.number()
    await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=99, user_id=user)
    client = poller(cluster, user)
    await client.poll()
    await cluster.router.notify("transcode_failed", video_id=video, title="x", error="x", user_id=user)
    answer = await client.poll()
    assert [event["type"] for event in answer["events"]] == ["transcode_failed"]
    assert answer["states"] == []


async def test_states_wait_for_the_last_page(cluster: Cluster) -> None:
    user, video = cluster.number(), cluster.number()
    client = poller(cluster, user)
    await client.poll()
    await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=1, user_id=user)
    await send(cluster, user, 2)
    first = await client.poll(limit=1, states=True)
    assert (first["has_more"], first["states"]) == (True, [])
    last = await client.poll(limit=1, states=True)
    assert (last["has_more"], len(last["states"])) == (False, 1)


# --- who may


async def test_blocked_users_read_nothing_by_http(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    await cluster.router.delete(f"users/{user}/connections", params={"block_seconds": 60})
    token = cluster.tokens.user(user)
    for path in ("/api/v1/events", "/api/v1/transcodes", "/api/v1/transcodes/1"):
        answer = await cluster.node.get(path, bearer=token)
        assert (answer.status_code, answer.json()) == (403, {"detail": "user blocked"})
    await cluster.router.delete(f"users/{user}/block")
    await client.poll()


async def test_a_blocked_admin_reads_nothing_by_http(cluster: Cluster) -> None:
    admin = cluster.number()
    await cluster.router.delete(f"users/{admin}/connections", params={"block_seconds": 60})
    token = cluster.tokens.admin(admin)
    for path in ("/api/v1/events/admin", "/api/v1/transcodes", "/api/v1/admin/nodes"):
        assert (await cluster.node.get(path, bearer=token)).status_code == 403


async def test_a_user_hears_neither_admins_nor_others(cluster: Cluster) -> None:
    user, other = cluster.number(), cluster.number()
    client, page = poller(cluster, user), admin_poller(cluster)
    await client.poll()
    await page.poll()
    await send(cluster, other)
    (of_admins,) = await send(cluster, "admin")
    await cluster.router.notify("transcode_progress", video_id=cluster.number(), status="x", progress=1)
    answer = await client.poll()
    assert (answer["events"], answer["states"]) == ([], [])
    assert ids(await page.poll()) == [of_admins]
    assert (await Poller(cluster.node, cluster.tokens.user(user), admin=True).get()).status_code == 403


async def test_too_many_polls_are_refused_and_harm_no_socket_of_the_user(cluster: Cluster) -> None:
    node = await cluster.start_node(COMMANDS_PER_SECOND="1")
    user = cluster.number()
    client = poller(cluster, user)
    client.node = node
    async with cluster.user(user, node=node) as socket:
        answers = await asyncio.gather(*(client.get() for _ in range(12)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        await socket.settled()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"wait": 26}, "wait"),
        ({"states_since": "x"}, "states_since"),
    ],
)
async def test_what_makes_no_sense_is_named(cluster: Cluster, query: dict[str, Any], field: str) -> None:
    answer = await poller(cluster, cluster.number()).get(**query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", field]
