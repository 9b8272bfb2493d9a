"""Who did what to whom: the audit of real nodes and routers, at a level that writes nothing else."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from shared.flood import BURST
from tests.support.cluster import Cluster, Service
from tests.support.logged import OF_ANY_LINE, OF_EVERY_LINE, SCHEMA, Line, lines_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

MESSAGES = "/api/v1/admin/system-messages"
KINDS = {"string": str, "integer": int, "boolean": bool, "array": list}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A node and a router that would log nothing; whatever they were called for, their audit keeps to its schema."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("audit"), LOG_FORMAT="json", LOG_LEVEL="CRITICAL")
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()
    lines = [line for service in cluster.services for line in lines_of(service.log())]
    assert len(lines) > 20
    for line in lines:
        assert (line["logger"], line["event"]) == ("audit", "audit")
        assert_keeps_to_the_schema(line)


def assert_keeps_to_the_schema(line: Line) -> None:
    schema = json.loads(SCHEMA.read_text())
    fields = {name: value for name, value in line.items() if name not in (OF_EVERY_LINE | OF_ANY_LINE - {"trace_id"})}
    assert set(schema["required"]) <= fields.keys() <= schema["properties"].keys()
    for name, value in fields.items():
        wanted = schema["properties"][name]
        assert type(value) is KINDS[wanted["type"]], name
        assert "enum" not in wanted or value in wanted["enum"], name


class Trail:
    """One call's trace, by which its audit is found."""

    def __init__(self) -> None:
        self.trace_id = secrets.token_hex(16)
        self.headers = {"traceparent": f"00-{self.trace_id}-00f067aa0ba902b7-01", "X-Forwarded-For": "203.0.113.9"}

    async def line(self, service: Service, **fields: Any) -> Line:
        """Return the one line that the call left."""
        await until(lambda: self._lines(service))
        (line,) = self._lines(service)
        assert line.items() >= fields.items()
        return line

    def _lines(self, service: Service) -> list[Line]:
        return [line for line in lines_of(service.log()) if line.get("trace_id") == self.trace_id]

    def none(self, *services: Service) -> bool:
        return not any(self._lines(service) for service in services)


def key_of(cluster: Cluster) -> str:
    return f"key:{hashlib.sha256(cluster.api_key.encode()).hexdigest()[:8]}"


# --- accepted


async def test_a_broadcast_is_written_down_with_who_when_and_what(cluster: Cluster) -> None:
    trail = Trail()
    body = {"audience": "all", "message": {"type": "news"}}
    answer = await cluster.router.post("messages", body, headers=trail.headers)
    line = await trail.line(cluster.router, action="broadcast", outcome="accepted", status=202, audience="all")
    assert (line["caller"], line["address"], line["forwarded_for"]) == (key_of(cluster), "127.0.0.1", "203.0.113.9")
    assert (line["message_type"], line["id"]) == ("news", answer.json()["id"])


@pytest.mark.parametrize(
    ("target", "audience", "users"),
    [
        (None, "admin", None),
        ("all", "all", None),
        ({"users": [7, "alice", 7]}, "users", ["7", "alice"]),
        ({"users": list(range(100))}, "users", [str(user) for user in range(20)]),
    ],
)
async def test_a_system_message_is_written_down_with_its_audience(
    cluster: Cluster, target: Any, audience: str, users: list[str] | None
) -> None:
    trail = Trail()
    body = {"type": "system_message", "message": "维护"} | ({"target": target} if target else {})
    bearer = cluster.tokens.mint(sub="ops", scope="publish")
    answer = await cluster.router.post("notifications", body, bearer=bearer, headers=trail.headers)
    line = await trail.line(cluster.router, action="system_message", caller="sub:ops", audience=audience)
    assert (line.get("users"), line["id"]) == (users, answer.json()["id"])
    assert line.get("user_count") == (len(answer.json()["ids"]) if users else None)


async def test_what_an_admin_sends_through_a_node_is_written_down_in_the_admins_name(cluster: Cluster) -> None:
    trail = Trail()
    bearer = cluster.tokens.admin(42, scope="publish")
    await cluster.node.call("POST", MESSAGES, bearer=bearer, json={"message": "维护"}, headers=trail.headers)
    line = await trail.line(cluster.router, action="system_message", outcome="accepted", caller="sub:42")
    assert line["forwarded_for"] == "203.0.113.9, 127.0.0.1"
    assert trail.none(cluster.node)


async def test_ending_connections_blocking_and_unblocking_are_written_down(cluster: Cluster) -> None:
    async with cluster.user("bob") as bob:
        trail = Trail()
        await cluster.router.delete("users/bob/connections?block_seconds=60", headers=trail.headers)
        await bob.closed()
    await trail.line(
        cluster.router, action="end_connections", users=["bob"], connections=1, block_seconds=60, status=200
    )
    for was_blocked in (True, False):
        trail = Trail()
        await cluster.router.delete("users/bob/block", headers=trail.headers)
        await trail.line(cluster.router, action="unblock", users=["bob"], was_blocked=was_blocked)


async def test_a_batch_is_one_line_with_counts_and_tells_who_was_to_hear_what(cluster: Cluster) -> None:
    trail = Trail()
    system = {"type": "system_message", "message": "维护", "target": {"users": list(range(100))}}
    failed = {"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}
    items = [system, {**system, "target": "all"}, failed, {"type": "?"}]
    answer = await cluster.router.post("notifications/batch", {"items": items}, headers=trail.headers)
    line = await trail.line(cluster.router, action="batch", outcome="accepted", items=4, accepted=3)
    assert (line["broadcasts"], line["system_messages"]) == (1, 2)
    assert (line["audiences"], line["user_count"]) == (["all", "users"], 100)
    assert line["users"] == [str(number) for number in range(20)]
    assert line["ids"] == [result["id"] for result in answer.json()["results"][:2]]
    assert_keeps_to_the_schema(line)


async def test_a_broadcast_without_an_id_is_told_in_a_batch_too(cluster: Cluster) -> None:
    trail = Trail()
    state = {"type": "transcode_progress", "video_id": cluster.number(), "status": "processing", "progress": 1}
    items = [{"audience": "all", "message": state}]
    answer = await cluster.router.post("messages/batch", {"items": items}, headers=trail.headers)
    assert [result["status"] for result in answer.json()["results"]] == [202], answer.text
    line = await trail.line(cluster.router, action="batch", broadcasts=1, audiences=["all"])
    assert "ids" not in line


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages", {"audience": {"users": [7]}, "message": {"type": "order_paid"}}),
        ("messages", {"audience": "admin", "message": {"type": "internal"}}),
        ("notifications", {"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}),
        ("notifications/batch", {"items": [{"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}]}),
    ],
)
async def test_an_ordinary_message_is_not_written_down(cluster: Cluster, path: str, body: Any) -> None:
    trail, fence = Trail(), Trail()
    assert (await cluster.router.post(path, body, headers=trail.headers)).status_code < 300
    await cluster.router.post("messages", {"audience": "all", "message": {"type": "fence"}}, headers=fence.headers)
    await fence.line(cluster.router)
    assert trail.none(cluster.router)


# --- refused

SYSTEM = {"type": "system_message", "message": "维护"}
BROADCAST = {"audience": "all", "message": {"type": "news"}}
PERSONAL = {"audience": {"users": [7]}, "message": {"type": "order_paid"}}


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("POST", "messages", BROADCAST, "publish"),
        ("POST", "notifications", SYSTEM, "publish"),
        ("DELETE", "users/bob/connections", None, "end_connections"),
        ("DELETE", "users/bob/block", None, "unblock"),
        ("GET", "nodes", None, "read"),
    ],
)
async def test_a_stranger_is_written_down_without_a_name(
    cluster: Cluster, method: str, path: str, body: Any, action: str
) -> None:
    trail = Trail()
    await cluster.router.call(method, path, bearer="a-wrong-service-key", json=body, headers=trail.headers)
    line = await trail.line(cluster.router, action=action, outcome="refused", status=401, address="127.0.0.1")
    assert "caller" not in line


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("POST", "messages", BROADCAST, "broadcast"),
        ("POST", "messages", {"audience": "admin", "message": SYSTEM}, "system_message"),
        ("POST", "notifications", SYSTEM, "system_message"),
        ("POST", "notifications/batch", {"items": [{}, SYSTEM]}, "batch"),
        ("POST", "messages", PERSONAL, "publish"),
        ("DELETE", "users/bob/connections", None, "end_connections"),
    ],
)
async def test_who_lacks_the_scope_is_written_down_by_name(
    cluster: Cluster, method: str, path: str, body: Any, action: str
) -> None:
    trail = Trail()
    bearer = cluster.tokens.mint(sub="mallory", scope="read")
    await cluster.router.call(method, path, bearer=bearer, json=body, headers=trail.headers)
    await trail.line(cluster.router, action=action, outcome="refused", status=403, caller="sub:mallory")


@pytest.mark.parametrize(
    ("path", "body", "action"),
    [
        ("messages", {"audience": "all", "message": {}}, "broadcast"),
        ("notifications", {**SYSTEM, "level": "fatal"}, "system_message"),
        ("notifications/batch", {"items": [SYSTEM] * 1001}, "batch"),
    ],
)
async def test_an_invalid_broadcast_or_system_message_is_written_down(
    cluster: Cluster, path: str, body: Any, action: str
) -> None:
    trail = Trail()
    assert (await cluster.router.post(path, body, headers=trail.headers)).status_code == 422
    await trail.line(
        cluster.router, action=action, outcome="refused", status=422, caller=key_of(cluster), reason="invalid"
    )


async def test_so_is_one_that_cannot_be_read_but_seen_to_be_one(cluster: Cluster) -> None:
    trail, unreadable = Trail(), b'{"audience":"all","message":{"type":"news","text":"\\ud800"}}'
    answer = await cluster.router.post("messages", content=unreadable, headers=trail.headers)
    assert answer.status_code == 422
    await trail.line(cluster.router, action="broadcast", outcome="refused", status=422)


async def test_an_order_about_nobody_is_written_down(cluster: Cluster) -> None:
    for path in ("users/no%20name/connections", "users/bob/connections?block_seconds=0"):
        trail = Trail()
        assert (await cluster.router.delete(path, headers=trail.headers)).status_code == 422
        await trail.line(cluster.router, action="end_connections", outcome="refused", status=422)


async def test_what_a_node_refuses_itself_is_in_its_own_audit(cluster: Cluster) -> None:
    for bearer, status, caller in (
        ("nonsense", 401, None),
        (cluster.tokens.user("bob", scope="publish"), 403, "sub:bob"),
    ):
        trail = Trail()
        await cluster.node.call("POST", MESSAGES, bearer=bearer, json={"message": "x"}, headers=trail.headers)
        line = await trail.line(cluster.node, action="system_message", outcome="refused", status=status)
        assert line.get("caller") == caller
        assert trail.none(cluster.router)


async def test_what_the_router_refuses_of_a_forwarded_call_is_in_the_routers(cluster: Cluster) -> None:
    trail = Trail()
    bearer = cluster.tokens.admin(42, scope="read")
    await cluster.node.call("POST", MESSAGES, bearer=bearer, json={"message": "x"}, headers=trail.headers)
    await trail.line(cluster.router, action="system_message", outcome="refused", status=403, caller="sub:42")
    assert trail.none(cluster.node)


async def test_a_call_that_came_to_nothing_is_written_down_as_failed(new_cluster, own_redis: RedisServer) -> None:
    cluster: Cluster = await new_cluster(redis=own_redis, LOG_FORMAT="json", LOG_LEVEL="CRITICAL")
    await own_redis.stop()
    for path, body, action in (("messages", BROADCAST, "broadcast"), ("notifications", SYSTEM, "system_message")):
        trail = Trail()
        assert (await cluster.router.post(path, body, headers=trail.headers)).status_code == 503
        await trail.line(cluster.router, action=action, outcome="failed", status=503, reason="redis does not answer")
    trail = Trail()
    assert (await cluster.router.delete("users/bob/connections", headers=trail.headers)).status_code == 503
    await trail.line(cluster.router, action="end_connections", outcome="failed", status=503)
    await cluster.router.kill()
    trail = Trail()
    bearer = cluster.tokens.admin(42, scope="publish")
    await cluster.node.call("POST", MESSAGES, bearer=bearer, json={"message": "x"}, headers=trail.headers)
    await trail.line(cluster.node, action="system_message", outcome="failed", status=503, caller="sub:42")


async def test_strangers_without_end_are_counted_and_accepted_calls_are_all_there(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=0, LOG_FORMAT="json", LOG_LEVEL="CRITICAL")
    tries = 4 * BURST
    for _ in range(tries):
        await cluster.router.post("messages", BROADCAST, bearer="a-wrong-service-key")
        await cluster.router.post("messages", BROADCAST)
    await cluster.router.terminate()
    lines = lines_of(cluster.router.log())
    refused = [line for line in lines if line["outcome"] == "refused"]
    assert len(lines) - len(refused) == tries
    assert len(refused) < tries
    assert len(refused) + sum(line.get("suppressed", 0) for line in refused) == tries
