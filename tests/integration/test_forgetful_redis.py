"""Redis starts again while clients stay connected: with its data, empty, or from an older copy of it.

What it has kept goes on without a word. Whoever had seen what it forgot is told so; no id comes twice with another
payload, nothing is missing without a word, and afterwards events flow as before.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.events import published
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

AUDIENCES: dict[str, Any] = {"alice": {"users": ["alice"]}, "bob": {"users": ["bob"]}, "admin": "admin", "all": "all"}


class Scene:
    """Clients on two nodes, and what was sent to each audience."""

    def __init__(self, cluster: Cluster, redis: RedisServer) -> None:
        self.cluster, self.redis = cluster, redis
        self.clients: dict[str, Client] = {}
        self.sent: dict[str, list[str]] = {audience: [] for audience in AUDIENCES}

    async def send(self, audience: str, count: int) -> list[str]:
        ids = [
            (await self.cluster.router.send(AUDIENCES[audience], {"type": "event", "serial": self.cluster.number()}))[
                "id"
            ]
            for _ in range(count)
        ]
        self.sent[audience] += ids
        return ids

    async def start_again(self, how: str) -> None:
        await self.redis.kill()
        if how == "empty":
            self.redis.forget()
        elif how == "older":
            self.redis.go_back()
        await self.redis.start()
        await until(lambda: published(self.cluster.router, "nobody", "hello"))

    async def heard(self, name: str, last: str) -> list[str]:
        """Return the ids of one stream's events that a client got, ``resync`` where it was told so."""
        client, stream = self.clients[name], last.rpartition(".")[0]
        await until(lambda: any(f'"id":"{last}"' in text for text in client.texts), timeout=20)
        await client.settled()
        heard = []
        for message in map(json.loads, filter(lambda text: text != "pong", client.texts)):
            if message["type"] == "event" and message["id"].rpartition(".")[0] == stream:
                heard.append(message["id"])
            elif message["type"] == "resync" and message["cursor"].rpartition(".")[0] == stream:
                heard.append("resync")
        return heard

    def no_id_has_two_payloads(self) -> None:
        payloads: dict[str, str] = {}
        for client in self.clients.values():
            for message in map(json.loads, filter(lambda text: '"type":"event"' in text, client.texts)):
                assert payloads.setdefault(message["id"], message["serial"]) == message["serial"]


@pytest.fixture
async def scene(new_cluster, own_redis: RedisServer) -> AsyncIterator[Scene]:
    cluster: Cluster = await new_cluster(nodes=2, redis=own_redis)
    scene = Scene(cluster, own_redis)
    here, there = cluster.nodes
    async with AsyncExitStack() as stack:
        for name, client in (
            ("phone", cluster.user("alice", node=here)),
            ("laptop", cluster.user("alice", node=there)),
            ("bob", cluster.user("bob", node=there)),
            ("page", cluster.admin("root", node=here)),
        ):
            scene.clients[name] = await stack.enter_async_context(client)
        yield scene


STREAMS = {"phone": ("alice", "all"), "laptop": ("alice", "all"), "bob": ("bob", "all"), "page": ("admin", "all")}


@pytest.mark.parametrize("how", ["with its data", "empty", "older"])
async def test_clients_that_stay_connected_while_redis_starts_again(scene: Scene, how: str) -> None:
    kept = {audience: await scene.send(audience, 3) for audience in AUDIENCES}
    if how == "older":
        scene.redis.keep_copy()
    seen = {audience: await scene.send(audience, 3) for audience in ("alice", "admin", "all")} | {"bob": []}
    for name, streams in STREAMS.items():
        for audience in streams:
            assert await scene.heard(name, scene.sent[audience][-1]) == kept[audience] + seen[audience]

    await scene.start_again(how)
    after = {audience: await scene.send(audience, 3) for audience in AUDIENCES}

    for name, streams in STREAMS.items():
        for audience in streams:
            forgotten = {"with its data": [], "empty": kept[audience] + seen[audience], "older": seen[audience]}[how]
            told = ["resync"] if forgotten else []
            heard = await scene.heard(name, after[audience][-1])
            assert heard == kept[audience] + seen[audience] + told + after[audience], (name, audience)
    scene.no_id_has_two_payloads()
    assert all(client.is_open for client in scene.clients.values())
    await assert_returning_clients_are_told(scene, how, kept, seen, after)


async def assert_returning_clients_are_told(
    scene: Scene, how: str, kept: dict[str, list[str]], seen: dict[str, list[str]], after: dict[str, list[str]]
) -> None:
    for at, good in ((kept, how != "empty"), (seen, how == "with its data"), (after, True)):
        since = f"{at['alice'][-1]},{after['all'][-1]}"
        async with scene.cluster.user("alice", since=since) as again:
            assert again.connected["recovered"] is good
            line = kept["alice"] + (seen["alice"] if how == "with its data" else []) + after["alice"]
            missed = line[line.index(at["alice"][-1]) + 1 :] if good else []
            assert [message["id"] for message in await again.receive_many("event", len(missed))] == missed
            await again.nothing_else()


async def test_an_id_is_given_once_however_often_redis_starts_again_empty(scene: Scene) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids += await scene.send("alice", 2)
        await scene.start_again("empty")
    last = (await scene.send("alice", 1))[0]
    assert len({*ids, last}) == len(ids) + 1
    for name in ("phone", "laptop"):
        heard = await scene.heard(name, last)
        assert [id for id in heard if id != "resync"] == sorted({*heard} - {"resync"}, key=[*ids, last].index)
        assert heard[-1] == last
    scene.no_id_has_two_payloads()
