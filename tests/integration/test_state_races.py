"""Many who tell of one video at once, and clients that are slow to hear of it: the newest value wins, and only it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster, Router, socket_path
from tests.support.raw_client import RawClient
from tests.support.waiting import until

AT_ONCE = 15  # messages of 60 KB in a call: quickly, for a client that reads nothing is cut off after half a minute
A_MINUTE_AGO = int(time.time() * 1e6) - 60_000_000  # µs, a producer's clock


def shown(texts: list[str], video: int) -> list[float]:
    messages = [json.loads(text) for text in texts if text != "pong"]
    return [message["progress"] for message in messages if message.get("video_id") == video]


async def tell(router: Router, video: int, percent: int, **more: Any) -> None:
    await router.notify("transcode_progress", video_id=video, status="processing", progress=percent, **more)


async def test_two_routers_that_race_on_one_video_never_take_it_backwards_for_anybody(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    here, there = cluster.nodes
    steps = list(range(100))
    random.Random(7).shuffle(steps)

    async def produce(router: Router, mine: list[int]) -> None:
        for percent in mine:
            await tell(router, video, percent, user_id=owner, sent_at=A_MINUTE_AGO + percent)

    async with (
        cluster.admin(node=here) as page,
        cluster.admin(node=there) as other_page,
        cluster.user(owner, node=here) as phone,
        cluster.user(owner, node=there) as laptop,
    ):
        await asyncio.gather(
            *(produce(router, steps[start::4]) for start in range(4) for router in [cluster.routers[start % 2]])
        )
        clients = (page, other_page, phone, laptop)
        await asyncio.gather(*(until(lambda c=client: shown(c.texts, video)[-1:] == [99]) for client in clients))
        for client in clients:
            seen = shown(client.texts, video)
            assert seen == sorted(set(seen)), "never backwards, and nothing twice"
        assert shown(page.texts, video) == shown(other_page.texts, video)
        assert shown(phone.texts, video) == shown(laptop.texts, video)
    assert (await cluster.routers[1].read(f"transcodes/{video}"))["progress"] == 99


async def test_an_end_that_races_with_progress_ends_it_for_everybody(cluster: Cluster) -> None:
    videos = [cluster.number() for _ in range(20)]

    async def produce(video: int) -> None:
        await asyncio.gather(
            *(tell(cluster.routers[n % 2], video, n, sent_at=A_MINUTE_AGO + n) for n in range(1, 6)),
            cluster.router.notify(
                "transcode_failed", video_id=video, title="t", error="e", sent_at=A_MINUTE_AGO + 1000
            ),
        )

    async with cluster.admin() as page:
        await asyncio.gather(*(produce(video) for video in videos))
        await until(lambda: all(is_told_of_the_end(page, video) for video in videos))
        await cluster.router.send("all", {"type": "fence"})
        await page.receive("fence")
        for video in videos:
            said = about(page, [video])
            assert said[-1]["type"] == "transcode_failed", "no progress after the end"
    async with cluster.admin(node=cluster.nodes[1]) as newcomer:
        await newcomer.settled()
        assert not about(newcomer, videos)


def about(client: Client, videos: list[int]) -> list[dict[str, Any]]:
    return [message for message in client.unread if message.get("video_id") in videos]


def is_told_of_the_end(client: Client, video: int) -> bool:
    return any(message["type"] == "transcode_failed" for message in about(client, [video]))


@pytest.mark.parametrize("who", ["an admin", "the owner"])
async def test_a_client_that_reads_nothing_for_a_while_gets_the_newest_values_and_no_queue_of_old_ones(
    cluster: Cluster, who: str
) -> None:
    owner, videos = cluster.number(), [cluster.number() for _ in range(2)]
    path = {
        "an admin": socket_path(admin=True, token=cluster.tokens.admin(owner)),
        "the owner": socket_path(token=cluster.tokens.user(owner)),
    }[who]
    rounds, filler = 250, "x" * 60_000  # twice 15 MB: far more than two sockets' buffers hold
    async with cluster.admin(node=cluster.nodes[1]) as page, await RawClient.open(cluster.node.port, path) as slow:
        assert '"connected"' in await slow.receive_text()
        slow.writer.transport.pause_reading()
        told = {"type": "transcode_progress", "status": "processing", "user_id": owner, "message": filler}
        items = [
            {**told, "video_id": video, "progress": percent * 0.1, "sent_at": A_MINUTE_AGO + percent}
            for percent in range(rounds)
            for video in videos
        ]
        for start in range(0, len(items), AT_ONCE):
            answer = await cluster.router.post("notifications/batch", {"items": items[start : start + AT_ONCE]})
            assert {result["status"] for result in answer.json()["results"]} == {202}
        newest = (rounds - 1) * 0.1
        for video in videos:
            await until(lambda v=video: shown(page.texts, v)[-1:] == [newest])
        slow.writer.transport.resume_reading()
        seen: list[dict[str, Any]] = []
        while not all(shown_last(seen, video) == newest for video in videos):
            seen.append(json.loads(await slow.receive_text()))
        for video in videos:
            values = [m["progress"] for m in seen if m.get("video_id") == video]
            assert values == sorted(set(values)), "never backwards, and nothing twice"
            assert len(values) < rounds / 2, "what was overtaken while it did not read is not shown"
        await cluster.router.send("all", {"type": "fence"})
        assert json.loads(await slow.receive_text())["type"] == "fence", "nothing came after the newest"
    for video in videos:
        await cluster.router.notify("transcode_failed", video_id=video, title="t", error="e", user_id=owner)


def shown_last(messages: list[dict[str, Any]], video: int) -> float | None:
    return next((m["progress"] for m in reversed(messages) if m.get("video_id") == video), None)


async def test_an_admin_is_shown_at_once_where_hundreds_of_active_transcodes_stand(cluster: Cluster) -> None:
    videos = [cluster.number() for _ in range(300)]
    for percent in (10, 20):
        items = [
            {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": percent}
            for video in videos
        ]
        answer = await cluster.router.post("notifications/batch", {"items": items})
        assert {result["status"] for result in answer.json()["results"]} == {202}
    ended = videos[::3]
    await cluster.router.post(
        "notifications/batch",
        {"items": [{"type": "transcode_failed", "video_id": video, "title": "t", "error": "e"} for video in ended]},
    )
    for node in cluster.nodes:
        async with cluster.admin(node=node) as page:
            await until(lambda page=page: len(about(page, videos)) >= len(videos) - len(ended))
            await page.settled()
            at_once = about(page, videos)
            assert sorted(m["video_id"] for m in at_once) == [v for v in videos if v not in ended]
            assert {m["progress"] for m in at_once} == {20}
