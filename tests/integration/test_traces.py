"""One trace over all hops, from a producer to every node that writes, as a real collector gets it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from celery import Celery
from videosite_realtime.examples.ffmpeg import FFmpeg
from videosite_realtime_cli.traces.span import Span

from tests.conftest import NewCluster
from tests.support.cluster import Cluster
from tests.support.collector import Collector, Trace, is_child, is_linked
from tests.support.process import Process
from tests.support.redis_proxy import Fate, RedisProxy, everything_passes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

POST = "POST /api/v1/messages"
NOTIFY = "POST /api/v1/notifications"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(redis_server: RedisServer) -> AsyncIterator[RedisProxy]:
    async with RedisProxy(redis_server.port).running() as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    redis_server: RedisServer, collector: Collector, proxy: RedisProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """A router and two nodes that trace everything; the second node hears through the proxy."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("cluster"), **collector.env)
    try:
        await cluster.start(nodes=1)
        await cluster.start_node(REDIS_URL=proxy.url)
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []


def ours(span, name: str):
    return span.attributes.get(f"vsrt.{name}")


def check_chain(trace: Trace, call: str, send: str, *processes: str) -> None:
    """Assert that a trace is one call, its publish, and what nodes made of it: parents, links, kinds, statuses."""
    server, producer = trace.one(call), trace.one(send)
    assert (server.kind, server.service) == ("server", "vsrt-router")
    assert (producer.kind, producer.service) == ("producer", "vsrt-router")
    assert is_child(producer, server)
    consumers = trace.named(*processes)
    assert len(consumers) == len(processes)
    for consumer in consumers:
        assert (consumer.kind, consumer.service) == ("consumer", "vsrt-node")
        assert is_child(consumer, producer)
        assert is_linked(consumer, producer)
        assert [event.name for event in consumer.events] == ["deliver"]
        assert consumer.events[0].at_ns == consumer.end_ns
        assert producer.start_ns <= consumer.start_ns <= consumer.end_ns
        assert ours(consumer, "source") == "bus"
        assert (ours(consumer, "sockets.failed"), ours(consumer, "sockets.behind")) == (0, 0)
    assert {span.status for span in trace} == {"unset"}


# --- who is told


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


# --- where it comes from


async def test_a_callers_trace_goes_on(cluster: Cluster, collector: Collector) -> None:
    body = {"audience": "all", "message": {"type": "hello"}}
    answer = await cluster.router.post("messages", body, headers={"traceparent": PARENT})
    assert answer.json()["trace_id"] == PARENT[3:35]
    server = await until(lambda: collector.trace(PARENT[3:35]).named(POST))
    assert server[0].parent_id == PARENT[36:52]


async def test_an_admins_message_goes_from_the_node_through_the_router_back_to_the_nodes(
    cluster: Cluster, collector: Collector
) -> None:
    call = "POST /api/v1/admin/system-messages"
    async with cluster.admin():
        bearer = cluster.tokens.admin(scope="publish")
        answer = await cluster.node.call("POST", call[5:], bearer=bearer, json={"message": "维护"})
        names = [call, NOTIFY, "send admin", "process admin"]
        trace = await collector.complete(answer.json()["trace_id"], names)
    assert trace.one(call).service == "vsrt-node"
    assert is_child(trace.one(NOTIFY), trace.one(call))
    check_chain(trace, NOTIFY, "send admin", "process admin")


async def test_ending_a_users_connections_is_traced_to_the_node_that_ends_them(
    cluster: Cluster, collector: Collector
) -> None:
    user = cluster.number()
    call = "DELETE /api/v1/users/{user_id}/connections"
    async with cluster.user(user) as one, cluster.user(user) as other:
        await cluster.router.delete(
            f"users/{user}/connections", headers={"traceparent": PARENT.replace("4bf9", "5bf9")}
        )
        await one.closed()
        await other.closed()
        trace = await collector.complete(
            PARENT[3:35].replace("4bf9", "5bf9"), [call, "send control", "process control"]
        )
    assert is_child(trace.one("send control"), trace.one(call))
    process = trace.one("process control")
    assert is_child(process, trace.one("send control"))
    assert ours(process, "connections") == 2


async def test_a_real_transcode_is_traced_from_its_process_to_the_browsers(
    cluster: Cluster, collector: Collector, tmp_path: Path
) -> None:
    env = collector.env | {"ROUTER_URL": cluster.router.url, "ROUTER_API_KEY": cluster.api_key}
    command = [sys.executable, "-m", "videosite_realtime.examples.transcoder", "--seconds", "1", "--user", "ann"]
    transcoder = Process("transcoder", command, env, tmp_path / "transcoder.log")
    async with cluster.admin() as admin, cluster.user("ann", node=cluster.nodes[1]) as owner:
        transcoder.launch()
        complete = await admin.receive("transcode_complete", timeout=60)
        await owner.receive("transcode_complete", timeout=60)
        video = complete["video_id"]
        send = await collector.found("send admin,users", video_id=video, **{"message.type": "transcode_complete"})
        processes = ["process admin", "process users"]
        trace = await collector.complete(send.trace_id, ["send notifications", NOTIFY, "send admin,users", *processes])
        assert await transcoder.exit_status(60) == 0
    check_chain(trace, NOTIFY, "send admin,users", *processes)
    call = trace.one("send notifications")
    assert (call.parent_id, call.kind, call.service) == ("", "producer", "videosite-transcoder")
    assert is_child(trace.one(NOTIFY), call)
    assert call.attributes["messaging.message.id"] == send.attributes["messaging.message.id"]
    assert trace.one("process admin").instance.startswith("node-1")
    assert trace.one("process users").instance.startswith("node-2")


async def test_a_celery_job_continues_its_orderers_trace_down_to_the_browsers(
    cluster: Cluster, collector: Collector, tmp_path: Path
) -> None:
    source = tmp_path / "source.mp4"
    FFmpeg.find().make_test_video(source, seconds=0.5)
    broker = cluster.redis.url.rsplit("/", 1)[0] + "/2"
    env = {"ROUTER_URL": cluster.router.url, "ROUTER_API_KEY": cluster.api_key, "CELERY_BROKER_URL": broker}
    command = [sys.executable, "-m", "celery", "-A", "videosite_realtime.examples.celery_tasks", "worker", "-c", "1"]
    worker = Process("worker", command, collector.env | env, tmp_path / "worker.log")
    order = PARENT.replace("4bf9", "8bf9")
    worker.launch()
    try:
        async with cluster.admin() as admin:
            await asyncio.to_thread(_order, broker, source, tmp_path / "videos", order)
            await admin.receive("transcode_complete", timeout=90)
    finally:
        await worker.terminate(20)
    job = await collector.found("run/videosite_realtime.examples.celery_tasks.transcode_video")
    assert (job.trace_id, job.parent_id, job.service) == (order[3:35], order[36:52], "videosite-transcoder")

    def told() -> list[Span]:
        trace = collector.trace(job.trace_id)
        done = [span for span in trace if ours(span, "message.type") == "transcode_complete"]
        return done if trace.named("process admin") else []

    (send, *_) = await until(told)
    spans = {span.span_id: span for span in collector.trace(job.trace_id)}
    post = spans[send.parent_id]
    call = spans[post.parent_id]
    assert (call.name, call.service, is_child(call, job)) == ("send notifications", "videosite-transcoder", True)
    assert any(is_child(process, send) for process in collector.trace(job.trace_id).named("process admin"))
    assert not any(b"celery-title" in body for body in collector.bodies)


def _order(broker: str, source: Path, target: Path, traceparent: str) -> None:
    with Celery(broker=broker) as app:
        app.send_task(
            "videosite_realtime.examples.celery_tasks.transcode_video",
            (9, "celery-title", str(source), str(target)),
            headers={"traceparent": traceparent},
        )


# --- what happens to it on the way


async def test_a_repeated_call_says_so_and_leads_to_the_first(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    body = {"audience": {"users": [user]}, "message": {"type": "hello"}}
    async with cluster.user(user) as client:
        first = await cluster.router.post("messages", body, key=f"key-{user}")
        again = await cluster.router.post(
            "messages",
            body,
            key=f"key-{user}",
            headers={"traceparent": PARENT[:35] + PARENT[35:].replace("00f0", "11f0")},
        )
        assert again.json() == first.json()
        fence = await cluster.router.send({"users": [user]}, {"type": "fence"})
        await client.receive("fence")
        await collector.complete(fence["trace_id"], [POST, "send users", "process users"])
        trace = await collector.complete(first.json()["trace_id"], [POST, "send users", "process users"])
    second = next(s for s in collector.trace(PARENT[3:35]) if s.name == "send users")
    assert ours(second, "replays") == 1
    assert is_linked(second, trace.one("send users"))
    assert ours(trace.one("send users"), "replays") is None


async def test_what_the_bus_loses_is_traced_from_history_and_what_it_doubles_once(
    cluster: Cluster, collector: Collector, proxy: RedisProxy
) -> None:
    user, node = cluster.number(), cluster.nodes[1]
    fates = {b"lost": Fate.LOSE, b"doubled": Fate.DOUBLE}
    proxy.judge = lambda payload: next((fate for word, fate in fates.items() if word in payload), Fate.PASS)
    kinds, traces = ("lost", "next", "doubled", "fence"), []
    try:
        async with cluster.user(user, node=node) as client:
            answers = []
            for kind in kinds:
                answers.append(await cluster.router.send({"users": [user]}, {"type": kind}))
                if kind != "lost":  # only the next one shows that it is missing
                    await client.receive(kind)
            for answer in reversed(answers):  # the last copy of any was heard before the last message
                names = [POST, "send users", "process users"]
                traces.append(await collector.complete(answer["trace_id"], names))
    finally:
        proxy.judge = everything_passes
    sources = [ours(trace.one("process users"), "source") for trace in reversed(traces)]
    assert sources == ["history", "history", "bus", "bus"]
    for trace in traces:
        assert is_child(trace.one("process users"), trace.one("send users"))
        assert is_linked(trace.one("process users"), trace.one("send users"))


async def test_what_is_over_before_it_is_delivered_says_so(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    async with cluster.user(user) as client:
        answer = await cluster.router.send({"users": [user]}, {"type": "old"}, expires_at="2020-01-01T00:00:00Z")
        trace = await collector.complete(answer["trace_id"], [POST, "send users", "process users"])
        await client.nothing_else()
    process = trace.one("process users")
    assert (ours(process, "expired"), ours(process, "sockets.written")) == (1, 0)


async def test_a_client_that_is_behind_is_counted_as_such(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    large = {"type": "large", "text": "x" * 60_000}
    async with await cluster.raw(user), cluster.user(user) as client:
        answers = []
        while not answers or await stays_live(collector, answers[-1]):  # until the kernel takes no more for it
            answers.append(await cluster.router.send({"users": [user]}, large))
            await client.receive("large")
    process = collector.trace(answers[-1]["trace_id"]).one("process users")
    assert (ours(process, "sockets.written"), ours(process, "sockets.behind")) == (1, 1)


async def stays_live(collector: Collector, answer) -> bool:
    trace = await collector.complete(answer["trace_id"], [POST, "send users", "process users"])
    return ours(trace.one("process users"), "sockets.behind") == 0


async def test_a_refusal_is_told_by_its_status_and_is_no_error_of_the_routers(
    cluster: Cluster, collector: Collector
) -> None:
    header = {"traceparent": PARENT.replace("4bf9", "6bf9")}
    answer = await cluster.router.post("messages", {"audience": "all"}, headers=header)
    assert answer.status_code == 422
    trace = await collector.complete(PARENT[3:35].replace("4bf9", "6bf9"), [POST])
    assert trace.one(POST).attributes["http.response.status_code"] == 422
    assert trace.one(POST).status == "unset"


async def test_without_redis_call_and_publish_have_failed(
    new_cluster: NewCluster, own_redis: RedisServer, collector: Collector
) -> None:
    cluster = await new_cluster(nodes=0, redis=own_redis, **collector.env)
    await own_redis.stop()
    body = {"audience": "all", "message": {"type": "hello"}}

    async def refused() -> bool:
        answer = await cluster.router.post("messages", body, headers={"traceparent": PARENT.replace("4bf9", "7bf9")})
        return answer.status_code == 503

    await until(refused)
    spans = await until(lambda: collector.trace(PARENT[3:35].replace("4bf9", "7bf9")))
    await until(lambda: collector.trace(PARENT[3:35].replace("4bf9", "7bf9")).named(POST))
    failed = [span for span in spans if span.status == "error"]
    assert {(span.name, span.attributes["error.type"]) for span in failed} == {(POST, "503"), ("send", "503")}


# --- around messages


async def test_a_handshake_is_a_short_span_and_a_connection_none(cluster: Cluster, collector: Collector) -> None:
    before = {span.span_id for span in collector.spans()}
    async with cluster.user(cluster.number()) as client:
        await client.settled()
        connect = await until(
            lambda: next((s for s in collector.spans() if s.name == "connect" and s.span_id not in before), None)
        )
    assert (connect.kind, connect.parent_id, connect.status) == ("server", "", "unset")
    assert connect.attributes == {
        "vsrt.endpoint": "user",
        "vsrt.result": "welcomed",
    }


@pytest.mark.parametrize(
    ("claims", "code", "reason"),
    [({"exp": 1}, 4401, "token expired"), ({"is_admin": False}, 4403, "not an admin")],
)
async def test_a_refused_handshake_tells_the_code_and_nobodys_name(
    cluster: Cluster, collector: Collector, claims: dict[str, object], code: int, reason: str
) -> None:
    await cluster.refusal(cluster.tokens.admin("mallory", **claims), admin=True)
    connect = await collector.found("connect", **{"close.code": code})
    assert connect.attributes == {
        "vsrt.endpoint": "admin",
        "vsrt.result": "refused",
        "vsrt.close.code": code,
        "vsrt.close.reason": reason,
    }
    assert connect.status == "unset"


async def test_a_drain_is_told_even_where_hardly_anything_is_sampled(
    new_cluster: NewCluster, collector: Collector
) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.000001"}
    cluster = await new_cluster(nodes=0, **collector.env, **sampler)
    node = await cluster.start_node(NODE_NAME="leaving")
    async with cluster.user(1, node=node), cluster.user(2, node=node):
        assert await node.terminate() == 0
    drain = await until(lambda: next((s for s in collector.spans() if s.instance.startswith("leaving")), None))
    assert (drain.name, drain.kind, drain.parent_id) == ("drain", "internal", "")
    assert (ours(drain, "connections"), ours(drain, "hurried")) == (2, False)
    assert len(drain.trace_id.strip("0")) > 8


# --- and what no trace tells


async def test_no_exported_byte_names_a_user_shows_a_token_or_quotes_a_message(
    cluster: Cluster, collector: Collector
) -> None:
    user = "quentin-the-user"
    token = cluster.tokens.user(user)
    text = {"type": "nobodys_business", "text": "zanzibar", "about": user}
    async with cluster.user(user) as client, cluster.admin("ophelia-the-admin"):
        await cluster.router.send({"users": [user]}, text)
        await cluster.router.post("messages", {"audience": {"users": ["no such id!"]}, "message": text})
        await cluster.router.read(f"users/{user}/connections")
        await cluster.router.notify("system_message", message="zanzibar", target={"users": [user]})
        await cluster.router.delete(f"users/{user}/connections")
        await client.closed()
        await cluster.refusal(token + "x")
        await cluster.node.get(f"/api/v1/transcodes?token={token}", bearer=token)
        fence = await cluster.router.send("all", {"type": "fence"})
        await until(lambda: collector.trace(fence["trace_id"]).named("process all"))
    await until(lambda: any(b"GET /api/v1/transcodes" in body for body in collector.bodies))
    exported = b"".join(collector.bodies)
    assert b"process control" in exported
    secrets = [
        user,
        "ophelia",
        "zanzibar",
        "nobodys_business",
        "no such id",
        token,
        cluster.api_key,
        cluster.tokens.secret,
    ]
    for secret in [*secrets, token.split(".")[1], token.split(".")[2], "cXVlbnRpbi10aGUtdXNlcg"]:
        assert secret.encode() not in exported, secret
    assert json.dumps(user).encode() not in exported
