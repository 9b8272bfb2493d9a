"""Server-Sent Events: the messages of a socket, with a place to go on from in every ``id:``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.event_stream import EventStream, events_path
from tests.support.metrics import metric
from tests.support.tokens import in_seconds
from tests.support.waiting import until_equal


async def send(cluster: Cluster, audience: Any, count: int = 1) -> list[str]:
    to = {"users": [audience]} if isinstance(audience, int) else audience
    return [(await cluster.router.send(to, {"type": "event", "text": "你好"}))["id"] for _ in range(count)]


async def ids_of(stream: EventStream, count: int) -> list[str]:
    return [(await stream.receive("event"))["id"] for _ in range(count)]


async def test_a_stream_gets_byte_for_byte_what_a_socket_gets(cluster: Cluster) -> None:
    user = cluster.number()
    video = cluster.number()
    async with (
        cluster.user(user) as socket,
        EventStream.welcomed(cluster.node, cluster.tokens.user(user)) as stream,
    ):
        for audience in (user, "all", user):
            await send(cluster, audience)
        await cluster.router.notify("transcode_progress", video_id=video, status="处理中", progress=1, user_id=user)
        file = {"title": "示例视频", "format_type": "av1", "file_size": 1}
        await cluster.router.notify("transcode_complete", video_id=video, user_id=user, **file)
        await socket.receive("transcode_complete")
        await stream.receive("transcode_complete")
        assert stream.texts[1:] == socket.texts[1:]
        assert sorted(stream.last_event_id.split(",")) == sorted(socket.since.split(","))
        assert stream.connected.keys() == socket.connected.keys()


async def test_an_admin_stream_gets_what_an_admin_socket_gets(cluster: Cluster) -> None:
    admin = cluster.number()
    async with (
        cluster.admin(admin) as socket,
        EventStream.welcomed(cluster.node, cluster.tokens.admin(admin), admin=True) as stream,
    ):
        await send(cluster, "admin")
        await send(cluster, "all")
        await send(cluster, admin)
        await cluster.router.notify("transcode_progress", video_id=cluster.number(), status="x", progress=1)
        await cluster.router.send("all", {"type": "fence"})
        await socket.receive("fence")
        await stream.receive("fence")
        of_events = [text for text in stream.texts[1:] if '"event"' in text]
        assert of_events == [text for text in socket.texts[1:] if '"event"' in text]
        assert len(of_events) == 2


async def test_last_event_id_goes_on_where_it_was(cluster: Cluster) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user)
    async with EventStream.welcomed(cluster.node, token) as stream:
        first = stream.connected["cursor"]
        assert stream.last_event_id == first
        await send(cluster, user)
        await send(cluster, "all")
        await ids_of(stream, 2)
        last = stream.last_event_id
    missed = [*await send(cluster, user, 3), *await send(cluster, "all", 2)]
    # A browser sends the address of its first connection, and the header: the header is right.
    async with EventStream.welcomed(cluster.nodes[1], token, since=first, last_event_id=last) as again:
        assert again.connected["recovered"] is True
        assert again.connected["cursor"] == last
        assert sorted(await ids_of(again, 5)) == sorted(missed)


async def test_a_cursor_that_is_not_good_is_told_so(cluster: Cluster) -> None:
    user, other = cluster.number(), cluster.number()
    token = cluster.tokens.user(user)
    async with cluster.user(other) as neighbour:
        foreign = neighbour.connected["cursor"]
    for since in ("garbage", "", foreign, "x" * 600):
        async with EventStream.welcomed(cluster.node, token, since=since) as stream:
            assert stream.connected["recovered"] is False
    async with EventStream.welcomed(cluster.node, token) as stream:
        assert stream.connected["recovered"] is None


async def test_a_stream_counts_as_a_connection_of_its_user(cluster: Cluster) -> None:
    user = cluster.number()

    async def connections() -> int:
        return (await cluster.router.read(f"users/{user}/connections"))["connections"]

    async with EventStream.welcomed(cluster.node, cluster.tokens.user(user)):
        assert await connections() == 1
        assert (await cluster.router.send({"users": [user]}, {"type": "event"}))["online"] is True
    await until_equal(connections, 0)


async def test_the_token_may_come_in_the_address_of_a_stream_alone(cluster: Cluster) -> None:
    token = cluster.tokens.user(cluster.number())
    async with (
        cluster.node.http() as http,
        http.stream("GET", events_path(), params={"token": token}, headers={"Accept": "text/event-stream"}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["x-accel-buffering"] == "no"
    assert (await cluster.node.get(events_path(), params={"token": token})).status_code == 401
    assert token not in cluster.node.log()


async def test_what_does_not_pass_by_itself_is_a_status(cluster: Cluster) -> None:
    user = cluster.number()
    for token, admin, status, detail in (
        ("-", False, 401, "token invalid"),
        ("x.y.z", False, 401, "token invalid"),
        (cluster.tokens.user(user, exp=in_seconds(-1)), False, 401, "token expired"),
        (cluster.tokens.user(user), True, 403, "not an admin"),
    ):
        async with EventStream.open(cluster.node, token, admin=admin) as stream:
            assert stream.response.status_code == status
            await stream.ended()
        answer = await cluster.node.get(events_path(admin=admin), bearer=token, headers={"Accept": "text/event-stream"})
        assert answer.json() == {"detail": detail}


async def test_too_many_connections_are_told_in_the_stream(cluster: Cluster) -> None:
    node = await cluster.start_node(MAX_CONNECTIONS_PER_USER="1")
    user = cluster.number()
    async with (
        cluster.user(user, node=node),
        EventStream.open(node, cluster.tokens.user(user)) as stream,
    ):
        assert stream.response.status_code == 200
        assert await stream.ended() == {"code": 4429, "reason": "too many connections"}
        assert stream.retry_ms >= 1000
        assert [message["type"] for message in stream.unread] == ["reconnect"]
        assert not stream.broken


async def test_an_order_ends_a_stream_and_a_block_keeps_it_out(cluster: Cluster) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user)
    async with EventStream.welcomed(cluster.node, token) as stream:
        await cluster.router.delete(f"users/{user}/connections", params={"block_seconds": 60})
        assert await stream.ended() == {"code": 4401, "reason": "ended by an administrator"}
        assert not stream.broken
    async with EventStream.open(cluster.node, token) as stream:
        assert stream.response.status_code == 403


async def test_a_stream_ends_with_its_token(cluster: Cluster) -> None:
    token = cluster.tokens.user(cluster.number(), exp=in_seconds(6))
    async with EventStream.welcomed(cluster.node, token) as stream:
        assert await stream.ended() == {"code": 4401, "reason": "token expired"}


async def test_a_draining_node_tells_its_streams_when_to_come_back(cluster: Cluster) -> None:
    node = await cluster.start_node(DRAIN_SECONDS="2")
    user = cluster.number()
    async with EventStream.welcomed(node, cluster.tokens.user(user)) as stream:
        ends = asyncio.create_task(node.terminate())
        told = await stream.receive("reconnect")
        assert await stream.ended() == {"code": 1012, "reason": "this node leaves"}
        assert stream.retry_ms == told["retry_after_ms"] > 0
        assert not stream.broken
        await ends


async def test_a_client_that_leaves_is_forgotten(cluster: Cluster) -> None:
    node = await cluster.start_node()
    async with EventStream.welcomed(node, cluster.tokens.user(cluster.number())):
        assert (await metric(node, "vsrt_node_connections", kind="user")) == 1
    await until_equal(lambda: metric(node, "vsrt_node_connections", kind="user"), 0)


async def test_states_are_shown_to_whoever_connects(cluster: Cluster) -> None:
    user, video = cluster.number(), cluster.number()
    await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=40, user_id=user)
    async with EventStream.welcomed(cluster.node, cluster.tokens.user(user)) as stream:
        assert (await stream.receive("transcode_progress"))["progress"] == 40
        await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=50, user_id=user)
        assert (await stream.receive("transcode_progress"))["progress"] == 50


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/admin"])
async def test_the_page_of_the_interface_shows_it(cluster: Cluster, path: str) -> None:
    shown = json.loads((await cluster.node.get("/openapi.json")).text)["paths"][path]["get"]
    assert {"application/json", "text/event-stream"} <= shown["responses"]["200"]["content"].keys()
    assert "example" in shown["responses"]["200"]["content"]["application/json"]


async def test_a_browser_of_another_origin_may_read_it(cluster: Cluster) -> None:
    token = cluster.tokens.user(cluster.number())
    headers = {"Authorization": f"Bearer {token}", "Origin": "https://admin.example.com", "Accept": "text/event-stream"}
    async with cluster.node.http() as http, http.stream("GET", events_path(), headers=headers) as answer:
        assert answer.headers["access-control-allow-origin"] == "https://admin.example.com"


async def test_who_does_not_speak_by_nature_is_no_zombie(cluster: Cluster) -> None:
    node = await cluster.start_node(HEARTBEAT_TIMEOUT="2", HEARTBEAT_INTERVAL="1")
    user = cluster.number()
    async with (
        EventStream.welcomed(node, cluster.tokens.user(user)) as stream,
        cluster.user(cluster.number(), node=node) as socket,
    ):
        assert (await socket.closed())[0] == 4408
        await send(cluster, user)
        await ids_of(stream, 1)
