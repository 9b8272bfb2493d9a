"""What nodes and routers log while they work: the lines of real processes, read back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from router.call_log import PROGRESS_INTERVAL
from shared.flood import BURST
from tests.support.client import Client
from tests.support.cluster import Cluster, Service
from tests.support.logged import OF_ANY_LINE, OF_EVERY_LINE, Line, documented, lines_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

EVENTS = documented()


def said(service: Service, event: str, **fields: Any) -> list[Line]:
    """Return a service's lines of an event that have these fields."""
    return [line for line in lines_of(service.log()) if line.items() >= {"event": event, **fields}.items()]


async def says(service: Service, event: str, **fields: Any) -> Line:
    """Wait for a line, and return the last one like it."""
    await until(lambda: said(service, event, **fields))
    return said(service, event, **fields)[-1]


def assert_documented(*services: Service) -> None:
    """Every line is JSON, its event is in the page, and so are its level and its fields; libraries have no fields."""
    for service in services:
        for line in lines_of(service.log()):
            fields = line.keys() - OF_EVERY_LINE - OF_ANY_LINE
            if line["event"] in EVENTS:
                event = EVENTS[line["event"]]
                assert line["level"] in event.levels, line
                assert fields <= event.fields, line
                assert event.service in ("both", line["service"]), line
            else:
                assert line["logger"].partition(".")[0] not in {"node", "router", "shared", "audit"}, line
                assert not fields, line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two nodes and a router that tell everything; whatever the tests did, it was documented."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("logs"), LOG_FORMAT="json", LOG_LEVEL="DEBUG")
    try:
        await cluster.start(nodes=2)
        yield cluster
    finally:
        await cluster.close()
    assert_documented(*cluster.services)


def trace() -> tuple[str, str]:
    """Return a traceparent that nobody has seen, and its trace id."""
    trace_id = secrets.token_hex(16)
    return f"00-{trace_id}-00f067aa0ba902b7-01", trace_id


async def test_a_days_work_is_lines_of_json_with_documented_events_and_fields(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, LOG_FORMAT="json", LOG_LEVEL="DEBUG", DRAIN_SECONDS="0.3")
    router, video = cluster.router, cluster.number()
    async with cluster.user("alice") as alice, cluster.admin() as page:
        await router.notify("transcode_progress", video_id=video, status="processing", progress=1, user_id="alice")
        await router.notify(
            "transcode_complete", video_id=video, title="t", format_type="av1", file_size=1, user_id="alice"
        )
        await router.notify("transcode_failed", video_id=video, title="t", error="e")
        await router.notify("system_message", message="维护", level="warning", target="all")
        await router.send("all", {"type": "news"})
        await router.send({"users": ["alice"]}, {"type": "order_paid"})
        await router.post("notifications/batch", {"items": [{"type": "nonsense"}]})
        await page.receive("news")
        await alice.receive("order_paid")
        await cluster.refusal("no token")
        await router.delete("users/alice/connections")
        await alice.closed()
        await cluster.node.terminate()
    for service in cluster.services:
        await service.terminate()
    assert_documented(*cluster.services)
    lines = [line for service in cluster.services for line in lines_of(service.log())]
    seen = {line["event"] for line in lines}
    assert seen >= {
        *("settings read", "redis is there", "router up", "router stopped", "audit"),
        *("progress sent", "completion sent", "failure sent", "system message sent", "broadcast sent"),
        *("message sent", "batch sent", "node up", "node joined", "node left", "node stopped", "message heard"),
        *("user connected", "user disconnected", "admin connected", "admin disconnected"),
        *("handshake refused", "connections ended", "drain begins", "drain ended"),
    }
    assert {(line["service"], line["instance"]) for line in lines} == {
        ("node", "node-1"),
        ("node", "node-2"),
        ("router", "router-1"),
    }
    (begun,), (ended,) = said(cluster.node, "drain begins"), said(cluster.node, "drain ended")
    assert (begun["connections"], ended["connections"]) == (1, 1)
    assert ended["cut_off"] in (0, 1), "a client on a busy machine may be late with its answer to the close"
    assert said(cluster.node, "admin disconnected")[0]["code"] == 1012


async def test_admins_are_told_of_with_the_number_that_remain_here_and_everywhere(cluster: Cluster) -> None:
    here, there = cluster.nodes
    async with cluster.admin(1, node=there), cluster.admin(2, node=here):
        await until(lambda: said(here, "admin connected", admin_connections=1))
        async with cluster.admin(3, node=here) as third:
            line = await says(here, "admin connected", admin_connections=2)
            assert line["admin_connections_cluster"] in (2, 3), "the other node's is known within a second"
            await until(lambda: third.connected)
        line = await says(here, "admin disconnected")
        assert (line["admin_connections"], line["code"]) == (1, 1000)
        assert line["admin_connections_cluster"] in (1, 2)
        assert line["seconds"] >= 0
        assert "user" not in line


async def test_users_are_not_named(cluster: Cluster) -> None:
    await assert_users_are_named(cluster, False)


async def test_users_are_named_where_the_settings_allow_it(new_cluster) -> None:
    await assert_users_are_named(await new_cluster(LOG_FORMAT="json", LOG_LEVEL="DEBUG", LOG_USER_IDS="true"), True)


async def assert_users_are_named(cluster: Cluster, named: bool) -> None:
    before = len(said(cluster.node, "user disconnected"))
    async with cluster.user("alice-in-chains") as alice:
        await cluster.router.send({"users": ["alice-in-chains"]}, {"type": "order_paid"})
        await alice.receive("order_paid")
    await until(lambda: len(said(cluster.node, "user disconnected")) > before)
    others = [line for service in cluster.services for line in lines_of(service.log()) if line["logger"] != "audit"]
    assert ("alice-in-chains" in str(others)) == named
    assert ("YWxpY2UtaW4tY2hhaW5z" in str(others)) == named, "the stream is named after the user"


# --- one trace


async def test_a_message_is_found_by_its_trace_on_every_hop(cluster: Cluster) -> None:
    traceparent, trace_id = trace()
    async with cluster.user("alice", node=cluster.nodes[1]) as alice:
        body = {"audience": {"users": ["alice"]}, "message": {"type": "order_paid"}}
        answer = await cluster.router.post("messages", body, headers={"traceparent": traceparent})
        assert answer.json()["trace_id"] == trace_id
        await alice.receive("order_paid")
        assert (await says(cluster.router, "message sent", trace_id=trace_id))["message_type"] == "order_paid"
        heard = await says(cluster.nodes[1], "message heard", trace_id=trace_id)
        assert (heard["stream"], heard["connections"]) == ("user", 1)
        assert said(cluster.nodes[0], "message heard", trace_id=trace_id) == []


async def test_an_order_to_disconnect_is_found_by_its_trace(cluster: Cluster) -> None:
    traceparent, trace_id = trace()
    async with cluster.user("alice") as alice:
        await cluster.router.delete("users/alice/connections", headers={"traceparent": traceparent})
        await alice.closed()
    assert (await says(cluster.node, "connections ended", trace_id=trace_id))["connections"] == 1
    await says(cluster.router, "audit", action="end_connections", trace_id=trace_id)


async def test_a_handshake_bears_the_trace_that_a_proxy_gave_it(cluster: Cluster) -> None:
    traceparent, trace_id = trace()
    url = cluster.node.socket_url(token="nonsense")
    async with await Client.open(url, headers={"traceparent": traceparent}) as client:
        await client.closed()
    await says(cluster.node, "handshake refused", trace_id=trace_id)
    before = len(said(cluster.node, "handshake refused"))
    await cluster.refusal("nonsense")
    await until(lambda: len(said(cluster.node, "handshake refused")) > before)
    assert len(said(cluster.node, "handshake refused")[-1]["trace_id"]) == 32
    assert len(said(cluster.node, "handshake refused", trace_id=trace_id)) == 1


# --- floods


async def test_a_crowd_of_strangers_is_a_few_lines_that_count_it(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, LOG_FORMAT="json")
    strangers = 10 * BURST
    for _ in range(10):  # together: one after the other, they are no flood on a slow machine
        await asyncio.gather(*(cluster.refusal("nonsense") for _ in range(BURST)))
    await cluster.refusal(None)
    await cluster.node.terminate()
    lines = said(cluster.node, "handshake refused", reason="token invalid")
    assert BURST < len(lines) < 3 * BURST
    assert sum(line.get("suppressed", 0) for line in lines) + len(lines) == strangers
    assert len(said(cluster.node, "handshake refused", reason="token missing")) == 1, "hidden by the flood of others"


async def test_progress_is_a_line_in_ten_seconds_with_a_count(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=0, LOG_FORMAT="json")
    item = {"status": "processing", "video_id": cluster.number()}
    for number in range(50):
        await cluster.router.notify("transcode_progress", progress=number, **item)
    first, *others = said(cluster.router, "progress sent")
    assert first.items() >= {**item, "progress": 0, "count": 1, "audience": "admin"}.items()
    assert len(others) <= 60 / PROGRESS_INTERVAL
    await cluster.router.notify("transcode_complete", video_id=7, title="t", format_type="av1", file_size=1)
    assert (await says(cluster.router, "completion sent")).items() >= {"video_id": 7, "format_type": "av1"}.items()


async def test_a_batch_is_one_line_with_counts(cluster: Cluster) -> None:
    video = cluster.number()
    progress = {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": 1}
    failed = {"type": "transcode_failed", "video_id": video, "title": "t", "error": "e"}
    await cluster.router.post("notifications/batch", {"items": [progress, progress, failed, {"type": "?"}]})
    line = await says(cluster.router, "batch sent")
    assert (line["items"], line["accepted"]) == (4, 3)
    assert line["types"] == {"transcode_progress": 2, "transcode_failed": 1}
    assert said(cluster.router, "progress sent", video_id=video) == []
    assert said(cluster.router, "failure sent", video_id=video) == []


# --- trouble


async def test_redis_going_and_coming_back_is_a_line_each_with_the_time_between(
    new_cluster, own_redis: RedisServer
) -> None:
    cluster: Cluster = await new_cluster(redis=own_redis, LOG_FORMAT="json")
    for link in ("vsrt-router", "vsrt-queue"):  # a router is ready without them
        await says(cluster.router, "redis is there", link=link)
    links = len(said(cluster.router, "redis is there"))
    await own_redis.stop()
    line = await says(cluster.router, "redis is away", link="vsrt-router")
    assert line["attempts"] == 1
    answer = await cluster.router.post("messages", {"audience": "all", "message": {"type": "x"}})
    assert answer.status_code == 503
    assert (await says(cluster.router, "publish failed"))["reason"] == "redis does not answer"
    await own_redis.start()
    await until(lambda: len(said(cluster.router, "redis is there")) == 2 * links)
    back = said(cluster.router, "redis is there")[-1]
    assert back["seconds"] > 0
    assert back["attempts"] > 1
    assert len(said(cluster.router, "redis is away")) == links
    assert len(said(cluster.router, "redis connection lost")) == links
    assert_documented(*cluster.services)


async def test_a_killed_node_is_buried_and_a_paused_one_takes_a_new_id(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, LOG_FORMAT="json")
    victim, other = cluster.nodes
    (joined,) = said(victim, "node joined")
    await victim.kill()
    await until(lambda: said(other, "dead node buried") + said(cluster.router, "dead node buried"), timeout=30)
    (line,) = said(other, "dead node buried") + said(cluster.router, "dead node buried")
    assert line["node_id"] == joined["node_id"]
    assert joined["again"] is False
    other.pause()
    (first,) = said(other, "node joined")
    await until(lambda: said(cluster.router, "dead node buried", node_id=first["node_id"]), timeout=30)
    other.resume()
    new = await says(other, "new node id")
    assert new["before"] == first["node_id"]
    again = await says(other, "node joined", again=True)
    assert again["node_id"] == new["node_id"]


async def test_an_origin_that_is_not_ours_is_named(cluster: Cluster) -> None:
    with pytest.raises(Exception, match="403"):
        await Client.open(cluster.node.socket_url(token="x"), origin="https://evil.example.com")
    line = await says(cluster.node, "upgrade refused")
    assert (line["reason"], line["origin"]) == ("origin not allowed", "https://evil.example.com")
