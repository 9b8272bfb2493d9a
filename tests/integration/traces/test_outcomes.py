"""What happens to a traced message on its way: repetitions, losses, refusals."""

from __future__ import annotations

import pytest

from tests.conftest import NewCluster
from tests.integration.traces.chain import PARENT, POST, ours
from tests.support.cluster import Cluster
from tests.support.collector import Collector, is_child, is_linked
from tests.support.redis_proxy import Fate, RedisProxy, everything_passes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until, until_equal

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


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
    (second,) = await until(lambda: collector.trace(PARENT[3:35]).named("send users"))
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

    def failed() -> set[tuple[str, object]]:
        spans = collector.trace(PARENT[3:35].replace("4bf9", "7bf9"))
        return {(span.name, span.attributes["error.type"]) for span in spans if span.status == "error"}

    await until(refused)
    await until_equal(failed, {(POST, "503"), ("send", "503")})
