"""What is old goes, and all of a user if somebody says so."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis.asyncio
from sqlalchemy import text

import router.archive_store
from node.inbox_count import count
from node.inbox_marks import mark_read, read_up_to
from router.archive_store import ArchiveStore
from router.inbox_removal import CHUNK, erase_user, remove_expired, remove_older
from shared.database import Database
from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from tests.inbox.desk import Desk
from tests.inbox.shelf import BOB, EVE, at, event, events, rows, spans
from tests.support.cluster import Cluster
from tests.support.metrics import metric
from tests.support.waiting import until, until_equal

NO_MORE = {"set_aside": 0, "queued": 0}


async def test_what_is_old_is_removed_in_chunks_the_oldest_first(database: Database):
    store = ArchiveStore(database)
    await store.write(events("all", range(1, CHUNK + 200)))
    assert await remove_older(database, at(CHUNK + 100).epoch * 1000 + CHUNK + 100) == CHUNK
    assert (await rows(database, "all"))[0] == at(CHUNK + 1)
    assert await remove_older(database, at(CHUNK + 100).epoch * 1000 + CHUNK + 100) == 100
    assert await remove_older(database, at(CHUNK + 100).epoch * 1000 + CHUNK + 100) == 0
    assert (await rows(database, "all"))[0] == at(CHUNK + 101)


async def test_spans_marks_and_counts_go_with_what_they_are_about(database: Database):
    store = ArchiveStore(database)
    for start in range(1, 5001, 500):
        await store.write(events("all", range(start, start + 500)))
    await mark_read(database, BOB, {"all": {at(n) for n in range(4000, 4010)}})
    await mark_read(database, BOB, {"all": {at(n) for n in range(100, 110)}})
    assert (await count(database, BOB)).unread["all"] == 4980
    while await remove_older(database, at(1).epoch * 1000 + 3000):
        pass
    assert (await count(database, BOB)).unread["all"] == 1990
    assert (await count(database, EVE)).unread["all"] == 2000
    assert sum(unread for _, unread in await spans(database, "all")) <= 2000
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM inbox_mark"))).scalar() == 10
    while await remove_older(database, at(1).epoch * 1000 + 5000):
        pass
    assert await spans(database, "all") == []
    tally = await count(database, BOB)
    assert (tally.unread["all"], tally.as_of["all"]) == (0, at(5000)), "a place is not forgotten with its notification"


async def test_what_is_over_is_not_counted_before_it_is_removed_nor_after(database: Database):
    now = int(time.time() * 1000)
    store = ArchiveStore(database)
    await store.write([event("user:bob", at(n), expires=now - 1 if n % 2 else now + 3_600_000) for n in range(1, 11)])
    await store.write([event("all", at(n), expires=now - 1 if n % 2 else None) for n in range(1, 11)])
    await mark_read(database, BOB, {"user": {at(1), at(2)}, "all": {at(1), at(2)}})
    before = await count(database, BOB)
    assert before.unread == {"user": 4, "all": 4}
    assert await remove_expired(database, now) == 10
    assert await count(database, BOB) == before


async def test_a_users_data_is_erased_by_one_call(cluster: Cluster):
    user, other, video = cluster.number(), cluster.number(), cluster.number()
    own, others = Desk(cluster, cluster.tokens.user(user)), Desk(cluster, cluster.tokens.user(other))
    await cluster.router.notify("transcode_progress", video_id=video, status="processing", progress=5, user_id=user)
    everybodys = (await cluster.router.send("all", {"type": "sale"}))["id"]
    ids = [(await cluster.router.send({"users": [user, other]}, {"type": "note", "n": n}))["id"] for n in range(3)]
    await own.there(*ids, everybodys)
    await others.settled(3, audience="user")
    await own.mark(ids=[ids[0], everybodys])
    answer = await cluster.router.delete(f"users/{user}/data")
    assert answer.json() == {"user_id": user, "inbox_rows": 4, "events": 3, "transcodes": 1, **NO_MORE}
    assert await own.ids(audience="user") == []
    (seen,) = [item for item in (await own.get(type="sale", limit=100))["notifications"] if item["id"] == everybodys]
    assert seen["read"] is False, "what it had read is forgotten too"
    assert await others.unread(audience="user") == 3
    assert (await cluster.router.get(f"transcodes/{video}")).status_code == 404
    again = await cluster.router.delete(f"users/{user}/data")
    assert again.json() == {"user_id": user, "inbox_rows": 0, "events": 0, "transcodes": 0, **NO_MORE}
    history = f"{cluster.prefix}:stream:{{{bucket(str(user))}}}:{user_stream(str(user))}"
    assert history not in await keys_of(cluster)
    fresh = (await cluster.router.send({"users": [user]}, {"type": "note"}))["id"]
    await own.there(fresh)
    assert await own.ids(audience="user") == [fresh]


async def keys_of(cluster: Cluster) -> list[str]:
    async with redis.asyncio.Redis.from_url(cluster.redis.url, decode_responses=True) as client:
        return [key async for key in client.scan_iter(f"{cluster.prefix}:*")]


@pytest.mark.parametrize("credential", ["reader", "user"])
async def test_erasing_needs_the_scope_admin(cluster: Cluster, credential: str):
    token = cluster.tokens.user(1, **({"scope": "publish read"} if credential == "reader" else {}))
    assert (await cluster.router.delete("users/7/data", bearer=token)).status_code == 403


async def test_what_waits_for_the_database_is_erased_with_its_user(database: Database):
    """It is written after the erasure, by an archiver that knows nothing of it."""
    store = ArchiveStore(database)
    await store.write(events("user:bob", range(1, 4)))
    await read_up_to(database, BOB, {"user": at(2)})
    assert await erase_user(database, "bob", at(6)) == 3
    written = await store.write(events("user:bob", range(1, 9)))
    assert (written.archived, await rows(database, "user:bob")) == (2, [at(7), at(8)])


async def test_what_is_being_written_while_its_user_is_erased_does_not_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    """The archiver has looked whether its events may be added, and has not committed them yet."""
    has_looked, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(*_: Any) -> None:
        has_looked.set()
        await may_commit.wait()

    monkeypatch.setattr(router.archive_store, "_sum_up", slowly)
    writing = asyncio.create_task(ArchiveStore(database).write(events("user:bob", range(1, 4))))
    await has_looked.wait()
    erasing = asyncio.create_task(erase_user(database, "bob", at(3)))
    await asyncio.wait((erasing,), timeout=0.5)  # as far as it gets
    may_commit.set()
    await asyncio.gather(writing, erasing)
    assert await rows(database, "user:bob") == []


async def test_old_notifications_go_by_themselves(new_cluster: Any, database_url: str):
    cluster = await new_cluster(nodes=1, DATABASE_URL=database_url, INBOX_RETENTION_DAYS=str(2 / 86400))
    desk = Desk(cluster, cluster.tokens.user(7))
    async with redis.asyncio.Redis.from_url(cluster.redis.url) as client:
        dead = Keys(cluster.prefix).archive_dead(SHARED_TAG)
        await client.xadd(dead, {"e": "set aside long ago"}, id="5-0")
        await cluster.router.send({"users": [7]}, {"type": "note"})
        # On a slow host it may be gone before anybody reads it.
        await until_equal(lambda: metric(cluster.router, "vsrt_inbox_events_total", outcome="archived"), 1)
        await until(lambda: _empty(desk))
        await until_equal(lambda: client.xlen(dead), 0)


async def _empty(desk: Desk) -> bool:
    return await desk.ids() == []
