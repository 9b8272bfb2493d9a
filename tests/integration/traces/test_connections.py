"""Spans of handshakes and drains, and what no exported span contains."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NewCluster
from tests.integration.traces.chain import ours
from tests.support.cluster import Cluster
from tests.support.collector import Collector
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


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
