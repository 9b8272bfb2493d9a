"""Where a trace comes from: callers, admins, transcoders and Celery jobs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from celery import Celery
from videosite_realtime.examples.ffmpeg import FFmpeg
from videosite_realtime_cli.traces.span import Span

from tests.integration.traces.chain import NOTIFY, PARENT, POST, check_chain, ours
from tests.support.cluster import Cluster
from tests.support.collector import Collector, is_child
from tests.support.process import Process
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


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
        await worker.terminate(60)  # Celery takes its time, more of it where others work too
    job = await collector.found("run/videosite_realtime.examples.celery_tasks.transcode_video")
    assert (job.trace_id, job.parent_id, job.service) == (order[3:35], order[36:52], "videosite-transcoder")

    def call_of_what_was_heard() -> Span | None:
        """Return the span of the job that led to what the admin heard in the end, if all between the two are there."""
        spans = {span.span_id: span for span in collector.trace(job.trace_id)}
        for process in collector.trace(job.trace_id).named("process admin"):
            send = spans.get(process.parent_id)
            if send is not None and ours(send, "message.type") == "transcode_complete":
                post = spans.get(send.parent_id)
                return spans.get(post.parent_id) if post is not None else None
        return None

    call = await until(call_of_what_was_heard)
    assert call is not None
    assert (call.name, call.service, is_child(call, job)) == ("send notifications", "videosite-transcoder", True)
    assert not any(b"celery-title" in body for body in collector.bodies)


def _order(broker: str, source: Path, target: Path, traceparent: str) -> None:
    with Celery(broker=broker) as app:
        app.send_task(
            "videosite_realtime.examples.celery_tasks.transcode_video",
            (9, "celery-title", str(source), str(target)),
            headers={"traceparent": traceparent},
        )
