"""The master dies, or is replaced: services find the new one by the Sentinels.

Replication is asynchronous. What the replica had confirmed is kept: it arrives once and in order. What it had not may
be forgotten, and then whoever had seen it is told, as after a crash of a server that had not synced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.producer import Producer, assert_all_arrived
from tests.support.sentinels import Watched
from tests.support.waiting import until


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with Watched(tmp_path / "watched") as watched:
        yield watched


@pytest.fixture
async def cluster(new_cluster: Any, watched: Watched) -> Cluster:
    return await new_cluster(nodes=2, redis=watched, **watched.settings)


async def test_what_the_replica_had_is_kept_when_the_master_is_killed(cluster: Cluster, watched: Watched) -> None:
    here, there = cluster.nodes
    producer = Producer(cluster.router, "alice")
    old = await watched.master()
    async with cluster.user("alice", node=here) as phone, cluster.user("alice", node=there) as laptop:
        before = [(await cluster.router.send({"users": ["alice"]}, {"type": "before"}))["id"] for _ in range(20)]
        since = phone.connected["cursor"]
        for client in (phone, laptop):
            assert [message["id"] for message in await client.receive_many("before", 20)] == before
        await watched.in_step(old)
        await old.kill()
        async with producer.at_work():  # into the outage: refused, repeated under its key, taken by the new master
            await producer.was_refused()
            await watched.promoted(old)
            await producer.published(20)
        await assert_all_arrived(producer, phone, laptop)
    async with cluster.user("alice", since=since) as again:
        assert again.connected["recovered"] is True
        assert [message["id"] for message in await again.receive_many("before", 20)] == before
        await assert_all_arrived(producer, again)


async def test_whoever_saw_what_the_new_master_never_had_is_told(cluster: Cluster, watched: Watched) -> None:
    old = await watched.master()
    async with cluster.user("alice") as phone:
        await cluster.router.send({"users": ["alice"]}, {"type": "kept"})
        await phone.receive("kept")
        await watched.in_step(old)
        kept = phone.since
        await watched.cut_off(old)
        lost = (await cluster.router.send({"users": ["alice"]}, {"type": "lost"}))["id"]
        await phone.receive("lost")
        await old.kill()
        await watched.promoted(old)
        answer = await until(lambda: published(cluster, "after"), timeout=20)
        assert answer["id"] != lost
        await phone.receive("resync", timeout=20)
        assert (await phone.receive("after"))["id"] == answer["id"]
    async with cluster.user("alice", since=kept) as again:
        assert again.connected["recovered"] is True
        await again.receive("after")
    async with cluster.user("alice", since=lost) as again:
        assert again.connected["recovered"] is False


async def test_a_sentinel_that_is_away_is_passed_over_and_a_name_that_none_knows_is_said(
    new_cluster, watched: Watched
) -> None:
    await watched.sentinels[0].kill()
    watched.sentinels[1].pause()
    cluster: Cluster = await new_cluster(redis=watched, **watched.settings)
    async with cluster.user("alice") as phone:
        await cluster.router.send("all", {"type": "event"})
        await phone.receive("event")
    stranger = cluster.add_node(REDIS_SENTINEL_MASTER="another")
    stranger.launch()
    await until(lambda: "knows no master 'another'" in stranger.log())


async def published(cluster: Cluster, kind: str) -> dict[str, Any]:
    body = {"audience": {"users": ["alice"]}, "message": {"type": kind}}
    answer = await cluster.router.post("messages", body, key=kind)
    assert answer.status_code == 202, answer.text
    return answer.json()
