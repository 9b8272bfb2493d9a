"""One trace over all hops, from a producer to every node that writes: who is told."""

from __future__ import annotations

import pytest

from tests.integration.traces.chain import NOTIFY, POST, check_chain, ours
from tests.support.cluster import Cluster
from tests.support.collector import Collector

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


async def test_to_a_user_it_is_one_chain_from_call_to_socket(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    async with cluster.user(user) as client:
        answer = await cluster.router.send({"users": [user]}, {"type": "hello"})
        await client.receive("hello")
        trace = await collector.complete(answer["trace_id"], [POST, "send users", "process users"])
    check_chain(trace, POST, "send users", "process users")
    server, send, process = trace.one(POST), trace.one("send users"), trace.one("process users")
    assert server.parent_id == ""
    assert server.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/messages",
        "http.response.status_code": 202,
        "url.scheme": "http",
    }
    position = answer["id"].rpartition(".")[2]
    assert send.attributes == {
        "messaging.system": "vsrt",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "users",
        "messaging.message.body.size": len('{"type":"hello"}'),
        "messaging.message.id": position,
        "vsrt.message.type": "custom",
        "vsrt.nodes": 1,
        "vsrt.online": True,
    }
    assert process.attributes == {
        "messaging.system": "vsrt",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "users",
        "messaging.message.id": position,
        "vsrt.source": "bus",
        "vsrt.sockets.written": 1,
        "vsrt.sockets.failed": 0,
        "vsrt.sockets.behind": 0,
    }


async def test_to_a_user_on_two_nodes_each_node_has_its_span(cluster: Cluster, collector: Collector) -> None:
    user, (here, there) = cluster.number(), cluster.nodes
    async with cluster.user(user, node=here), cluster.user(user, node=here), cluster.user(user, node=there):
        answer = await cluster.router.send({"users": [user]}, {"type": "hello"})
        processes = ["process users"] * 2
        trace = await collector.complete(answer["trace_id"], [POST, "send users", *processes])
    check_chain(trace, POST, "send users", *processes)
    found = trace.named("process users")
    assert [(span.instance, ours(span, "sockets.written")) for span in found] == [
        ("node-1", 2),
        ("node-2", 1),
    ]


async def test_to_admins_there_is_a_span_per_node_with_its_count_and_none_per_socket(
    cluster: Cluster, collector: Collector
) -> None:
    here, there = cluster.nodes
    async with cluster.admin(1, node=here), cluster.admin(2, node=here), cluster.admin(3, node=there):
        answer = await cluster.router.send("admin", {"type": "hello"})
        processes = ["process admin"] * 2
        trace = await collector.complete(answer["trace_id"], [POST, "send admin", *processes])
    check_chain(trace, POST, "send admin", *processes)
    assert [ours(span, "sockets.written") for span in trace.named("process admin")] == [2, 1]
    assert {trace.one("send admin").attributes["messaging.message.id"]} == {
        span.attributes["messaging.message.id"] for span in trace.named("process admin")
    }


async def test_a_node_that_holds_nobody_of_the_audience_has_none(cluster: Cluster, collector: Collector) -> None:
    async with cluster.admin(1, node=cluster.nodes[1]), cluster.user(cluster.number(), node=cluster.nodes[0]):
        answer = await cluster.router.send("admin", {"type": "hello"})
        fence = await cluster.router.send("all", {"type": "fence"})  # both have taken what came before it
        await collector.complete(fence["trace_id"], [POST, "send all", *["process all"] * 2])
        trace = await collector.complete(answer["trace_id"], [POST, "send admin", "process admin"])
    assert trace.one("process admin").instance.startswith("node-2")


async def test_to_all_users_and_admins_are_counted_together(cluster: Cluster, collector: Collector) -> None:
    async with cluster.admin(), cluster.user(cluster.number()), cluster.user(cluster.number()):
        answer = await cluster.router.send("all", {"type": "hello"})
        trace = await collector.complete(answer["trace_id"], [POST, "send all", "process all"])
    check_chain(trace, POST, "send all", "process all")
    assert ours(trace.one("process all"), "sockets.written") == 3


async def test_progress_is_traced_to_admins_and_to_the_owner(cluster: Cluster, collector: Collector) -> None:
    owner, video = cluster.number(), cluster.number()
    async with cluster.admin(), cluster.user(owner):
        fields = {"video_id": video, "user_id": owner, "status": "processing", "progress": 5}
        answer = await cluster.router.notify("transcode_progress", **fields)
        processes = ["process admin", "process users"]
        trace = await collector.complete(answer["trace_id"], [NOTIFY, "send admin,users", *processes])
    check_chain(trace, NOTIFY, "send admin,users", *processes)
    send = trace.one("send admin,users")
    assert (ours(send, "message.type"), ours(send, "video_id")) == ("transcode_progress", video)
    assert "messaging.message.id" not in send.attributes


async def test_a_batch_is_one_span_in_the_router_and_one_per_publish_on_a_node(
    cluster: Cluster, collector: Collector
) -> None:
    items = [{"audience": "all", "message": {"type": "tick", "n": n}} for n in range(50)]
    broken = {"audience": "all", "message": {"no": "type"}}
    async with cluster.user(cluster.number()) as client:
        answer = await cluster.router.post("messages/batch", {"items": [*items, broken]})
        trace_id = answer.json()["results"][0]["trace_id"]
        await client.receive_many("tick", 50)
        batch = "POST /api/v1/messages/batch"
        trace = await collector.complete(trace_id, [batch, "send all", "process all"])
    check_chain(trace, batch, "send all", "process all")
    assert trace.one("send all").attributes["messaging.batch.message_count"] == 50
    process = trace.one("process all")
    assert process.attributes["messaging.batch.message_count"] == 50
    assert ours(process, "sockets.written") == 50
    assert "messaging.message.id" not in process.attributes
