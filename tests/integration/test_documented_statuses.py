"""OpenAPI names the statuses with which calls are really answered: all of them, and no others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.cluster import Cluster, Service
from tests.support.redis_server import RedisServer

CUSTOM = {"audience": "all", "message": {"type": "x"}}
SYSTEM = {"type": "system_message", "message": "维护"}
KEYED = {"Idempotency-Key": "of calls with different bodies"}
LARGE = {"content": b" " * 2_000_000}
NO_TEXT = {"content": b"\xff", "headers": {"Content-Type": "application/json"}}
LIMITED = "/api/v1/events", "/api/v1/notifications"
MANY = 20  # calls at once, where a user may make one in a second


class Call(NamedTuple):
    """One call: as OpenAPI has it, as it is made, and by whom."""

    method: str
    template: str
    bearer: str | None = None
    where: str = ""  # what stands for the braces
    request: dict[str, Any] | None = None

    async def make(self, service: Service) -> int:
        head, brace, rest = self.template.partition("{")
        path = f"{head}{self.where}{rest.partition('}')[2]}" if brace else head
        answer = await service.call(self.method, path, bearer=self.bearer, **(self.request or {}))
        return answer.status_code


Statuses = dict[tuple[str, str], set[int]]


async def in_turn(service: Service, calls: list[Call]) -> Statuses:
    found: Statuses = defaultdict(set)
    for call in calls:
        found[call.method, call.template].add(await call.make(service))
    return found


async def documented(service: Service) -> Statuses:
    document = (await service.get("/openapi.json")).json()
    return {
        (method.upper(), path): {int(status) for status in operation["responses"]}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def router_calls(cluster: Cluster) -> list[Call]:
    key, weak = cluster.router.api_key, cluster.tokens.mint(sub="7", scope="other")

    def all_of(method: str, path: str, where: str = "", **request: Any) -> list[Call]:
        return [Call(method, f"/api/v1/{path}", bearer, where, request) for bearer in (key, None, weak)]

    def publishes(path: str, good: Any, other: Any) -> list[Call]:
        requests = [{"json": {}}, LARGE, *({"json": body, "headers": KEYED} for body in (good, other))]
        more = [Call("POST", f"/api/v1/{path}", key, "", request) for request in requests]
        return [*all_of("POST", path, json=good), *more]

    def of_user(method: str, path: str) -> list[Call]:
        return [*all_of(method, path, "7"), Call(method, f"/api/v1/{path}", key, "no%20name")]

    transcode = "/api/v1/transcodes/{video_id}"
    return [
        *publishes("messages", CUSTOM, CUSTOM | {"audience": "admin"}),
        *publishes("notifications", SYSTEM, SYSTEM | {"level": "error"}),
        *publishes("messages/batch", {"items": [CUSTOM]}, {"items": [CUSTOM, CUSTOM]}),
        *publishes("notifications/batch", {"items": [SYSTEM]}, {"items": [SYSTEM, SYSTEM]}),
        *all_of("GET", "stats"),
        *all_of("GET", "nodes"),
        *all_of("GET", "transcodes"),
        *all_of("GET", "transcodes/{video_id}", "1"),
        Call("GET", transcode, key, "2"),
        Call("GET", transcode, key, "x"),
        *of_user("GET", "users/{user_id}/connections"),
        *of_user("DELETE", "users/{user_id}/connections"),
        *of_user("DELETE", "users/{user_id}/block"),
        *of_user("DELETE", "users/{user_id}/data"),
    ]


def node_calls(cluster: Cluster, event: str) -> list[Call]:
    admin, blocked = (cluster.tokens.admin(name, scope="publish") for name in ("ann", "blocked"))
    system, transcode = "/api/v1/admin/system-messages", "/api/v1/transcodes/{video_id}"
    messages = [{"json": {"message": text}, "headers": KEYED} for text in ("甲", "乙")]

    def all_of(method: str, path: str, where: str = "", **request: Any) -> list[Call]:
        return [Call(method, f"/api/v1/{path}", bearer, where, request) for bearer in (admin, None, blocked)]

    return [
        Call("GET", "/api/v1/ws/stats"),
        *all_of("GET", "transcodes"),
        *all_of("GET", "transcodes/{video_id}", "1"),
        Call("GET", transcode, admin, "2"),
        Call("GET", transcode, admin, "x"),
        *all_of("GET", "admin/nodes"),
        *all_of("POST", "admin/system-messages", json={"message": "维护"}),
        *(Call("POST", system, admin, "", request) for request in (*messages, {}, LARGE)),
        *all_of("GET", "events"),
        Call("GET", "/api/v1/events", admin, "", {"params": {"limit": 0}}),
        *all_of("GET", "events/admin"),
        Call("GET", "/api/v1/events/admin", admin, "", {"params": {"limit": 0}}),
        *all_of("GET", "notifications"),
        *all_of("GET", "notifications/unread-count"),
        *all_of("POST", "notifications/read", json={"ids": [event]}),
        Call("POST", "/api/v1/notifications/read", admin, "", LARGE),
        Call("POST", "/api/v1/notifications/read", admin, "", NO_TEXT),
        *all_of("POST", "notifications/{id}/read", event),
        Call("POST", "/api/v1/notifications/{id}/read", admin, "all.1-999"),
        *all_of("DELETE", "notifications/{id}", event),
        Call("DELETE", "/api/v1/notifications/{id}", admin, "all.1-999"),
        *(
            Call(method, f"/api/v1/notifications{path}", admin, event, {"params": {"audience": "x"}})
            for method, path in [
                ("GET", ""), ("GET", "/unread-count"), ("POST", "/read"), ("POST", "/{id}/read"), ("DELETE", "/{id}"),
            ]
        ),
    ]  # fmt: skip


def good(calls: list[Call]) -> list[Call]:
    """Return the first call of each kind, by somebody who may make it."""
    return list({(call.method, call.template): call for call in reversed(calls) if call.bearer is not None}.values())


async def at_once(service: Service, calls: list[Call]) -> Statuses:
    found: Statuses = defaultdict(set)
    for call, status in zip(calls, await asyncio.gather(*(call.make(service) for call in calls)), strict=True):
        found[call.method, call.template].add(status)
    return found


async def test_openapi_lists_every_status_that_a_call_can_get(
    new_cluster, own_redis: RedisServer, tmp_path: Path
) -> None:
    cluster: Cluster = await new_cluster(redis=own_redis, DATABASE_URL=f"sqlite:///{tmp_path}/inbox.db")
    event = (await cluster.router.send("all", {"type": "x"}))["id"]
    await cluster.router.notify("transcode_progress", video_id=1, status="processing", progress=1)
    await cluster.router.delete("users/blocked/connections?block_seconds=600")
    of_router, of_node = router_calls(cluster), node_calls(cluster, event)
    limited = [call for call in good(of_node) if call.template.startswith(LIMITED)]
    shown = await documented(cluster.router), await documented(cluster.node)

    found = [await in_turn(cluster.router, of_router)], [await in_turn(cluster.node, of_node)]
    strict = await cluster.start_node(COMMANDS_PER_SECOND="1")
    found[1].extend([await at_once(strict, [call] * MANY) for call in limited])
    await own_redis.stop()
    found[0].append(await at_once(cluster.router, good(of_router)))
    found[1].append(await at_once(cluster.node, good(of_node)))
    for expected, answers in zip(shown, found, strict=True):
        assert {kind: set().union(*(each.get(kind, ()) for each in answers)) for kind in expected} == expected
