"""What is traced and what is not: the caller's flag, the sampler, and a cluster without any endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import NewCluster
from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.collector import Collector

UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
SAMPLED = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CHAIN = ["POST /api/v1/messages", "send all", "process all"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


async def send(cluster: Cluster, client: Client, traceparent: str | None = None) -> str:
    """Send to all, wait for it, and return the trace's id."""
    body = {"audience": "all", "message": {"type": "tick"}}
    headers = {"traceparent": traceparent} if traceparent else {}
    answer = await cluster.router.post("messages", body, headers=headers)
    await client.receive("tick")
    return answer.json()["trace_id"]


def never() -> dict[str, str]:
    return {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}


async def test_only_what_a_caller_samples_is_traced_where_nothing_else_is(
    collector: Collector, new_cluster: NewCluster
) -> None:
    cluster = await new_cluster(**collector.env, **never())
    async with cluster.user(1) as client:
        assert await send(cluster, client, UNSAMPLED) == UNSAMPLED[3:35]
        await send(cluster, client)
        await send(cluster, client, SAMPLED)
        await collector.complete(SAMPLED[3:35], CHAIN)
    assert {span.trace_id for span in collector.spans()} == {SAMPLED[3:35]}


async def test_a_callers_no_counts_where_everything_else_is_traced(
    collector: Collector, new_cluster: NewCluster
) -> None:
    cluster = await new_cluster(**collector.env)
    async with cluster.user(1) as client:
        await send(cluster, client, UNSAMPLED)
        await collector.complete(await send(cluster, client), CHAIN)
    assert UNSAMPLED[3:35] not in {span.trace_id for span in collector.spans()}


async def test_two_callers_at_once_decide_nothing_and_one_that_says_it_twice_does(
    collector: Collector, new_cluster: NewCluster
) -> None:
    """Else the first is asked, and the message goes on under the second: traced on the nodes, and not in the router."""
    cluster = await new_cluster(**collector.env, **never())
    async with cluster.user(1) as client, cluster.router.http() as http:
        headers = [("Authorization", f"Bearer {cluster.api_key}"), ("traceparent", UNSAMPLED), ("traceparent", SAMPLED)]
        body = {"audience": "all", "message": {"type": "tick"}}
        answer = await http.post("/api/v1/messages", headers=headers, json=body)
        await client.receive("tick")
        assert answer.json()["trace_id"] not in (UNSAMPLED[3:35], SAMPLED[3:35])
        fence = SAMPLED.replace("5bf9", "6bf9")
        headers[1:] = [("traceparent", fence)] * 2
        await http.post("/api/v1/messages", headers=headers, json=body)
        await collector.complete(fence[3:35], CHAIN)
    assert {span.trace_id for span in collector.spans()} == {fence[3:35]}


async def test_a_ratio_traces_that_part_and_all_hops_of_it(collector: Collector, new_cluster: NewCluster) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    cluster = await new_cluster(**collector.env, **sampler)
    async with cluster.user(1) as client:
        ids = [await send(cluster, client) for _ in range(100)]
        await collector.complete(await send(cluster, client, SAMPLED), CHAIN)
    chosen = [trace_id for trace_id in ids if int(trace_id[16:], 16) < 0.25 * 2**64]
    traced = {span.trace_id for span in collector.spans() if span.name != "connect"}
    assert traced == {*chosen, SAMPLED[3:35]}
    for trace_id in chosen:
        await collector.complete(trace_id, CHAIN)


async def test_a_caller_that_is_not_heard_decides_nothing(collector: Collector, new_cluster: NewCluster) -> None:
    cluster = await new_cluster(**collector.env, OTEL_PROPAGATORS="none")
    async with cluster.user(1) as client:
        trace_id = await send(cluster, client, UNSAMPLED)
        assert trace_id != UNSAMPLED[3:35]
        await collector.complete(trace_id, CHAIN)


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ""},
        {"OTEL_TRACES_SAMPLER": "always_off"},
    ],
    ids=lambda env: next(iter(env)),
)
async def test_nothing_is_exported_where_nothing_is_wanted(
    collector: Collector, new_cluster: NewCluster, env: dict[str, str]
) -> None:
    cluster = await new_cluster(**(collector.env | env))
    async with cluster.user(1) as client:
        assert await send(cluster, client, UNSAMPLED) == UNSAMPLED[3:35]
        if "always_off" not in env.values():
            assert await send(cluster, client, SAMPLED) == SAMPLED[3:35]
    for service in cluster.services:  # whatever was queued has left by its end
        assert await service.terminate() == 0
    assert collector.bodies == []


async def test_a_node_goes_on_with_a_trace_that_its_router_only_passes_on(
    collector: Collector, new_cluster: NewCluster
) -> None:
    cluster = await new_cluster(nodes=0)
    await cluster.start_node(**collector.env)
    async with cluster.user(1) as client:
        await send(cluster, client, SAMPLED)
        trace = await collector.complete(SAMPLED[3:35], ["process all"])
    assert trace.one("process all").parent_id == SAMPLED[36:52]


async def test_a_wrong_variable_stops_the_start_with_its_name(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(nodes=0, routers=0, OTEL_TRACES_SAMPLER="sometimes")
    for service in (cluster.add_router(), cluster.add_node()):
        service.launch()
        assert await service.exit_status() == 2
        (line,) = service.log().splitlines()
        assert "OTEL_TRACES_SAMPLER: " in line
