"""Where every transcode stands: of state, only the newest value counts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.client import Client, Message
from tests.support.cluster import Cluster
from tests.support.waiting import until

BEGINNING = int(time.time() * 1e6) - 60_000_000  # µs; a producer's clock, well before now


async def progress(cluster: Cluster, video: int, percent: float, **more: Any) -> Message:
    return await cluster.router.notify(
        "transcode_progress", video_id=video, status="processing", progress=percent, **more
    )


async def complete(cluster: Cluster, video: int, **more: Any) -> Message:
    return await cluster.router.notify(
        "transcode_complete", video_id=video, title="示例视频", format_type="av1", file_size=1, **more
    )


async def seen_by(cluster: Cluster, client: Client, video: int) -> list[float]:
    """Return the progress of one video as a client was shown it; everything that was sent has arrived."""
    await cluster.router.send("all", {"type": "fence"})
    await client.receive("fence")
    shown = [message for message in client.unread if message.get("video_id") == video]
    client.unread.clear()
    return [message.get("progress", message["type"]) for message in shown]


async def active_for_a_new_admin(cluster: Cluster, video: int) -> list[float]:
    async with cluster.admin() as page:
        return await seen_by(cluster, page, video)


async def polled(cluster: Cluster, video: int, bearer: str) -> Message | None:
    """Return what polling shows; by number and in the list are the same."""
    single = await cluster.node.get(f"/api/v1/transcodes/{video}", bearer=bearer)
    listed = (await cluster.nodes[1].get("/api/v1/transcodes", bearer=bearer)).json()["transcodes"]
    by_list = next((message for message in listed if message["video_id"] == video), None)
    if single.status_code == 404:
        assert by_list is None
        return None
    assert single.status_code == 200
    assert single.json() == by_list
    return by_list


async def test_a_connecting_admin_is_shown_the_newest_progress_of_every_active_transcode(cluster: Cluster) -> None:
    videos = [cluster.number() for _ in range(3)]
    for video in videos:
        for percent in (10, 20, 30):
            await progress(cluster, video, percent)
    for node in cluster.nodes:
        async with cluster.admin(node=node) as page:
            await cluster.router.send("all", {"type": "fence"})
            await page.receive("fence")
            shown = [message for message in page.unread if message.get("video_id") in videos]
            assert sorted(message["video_id"] for message in shown) == videos
            assert {message["progress"] for message in shown} == {30}


async def test_an_owner_is_shown_its_own_and_no_others(cluster: Cluster) -> None:
    owner, other = cluster.number(), cluster.number()
    mine, theirs, nobodys = (cluster.number() for _ in range(3))
    await progress(cluster, mine, 40, user_id=owner)
    await progress(cluster, theirs, 50, user_id=other)
    await progress(cluster, nobodys, 60)
    async with cluster.user(owner) as browser, cluster.user(owner, node=cluster.nodes[1]) as elsewhere:
        for client in (browser, elsewhere):
            state = await client.receive("transcode_progress")
            assert (state["video_id"], state["progress"]) == (mine, 40)
            await cluster.nobody_hears(client)


async def test_progress_that_is_older_than_what_is_known_is_dropped(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    async with cluster.admin() as page, cluster.user(owner) as browser:
        for percent, sent_at in ((45, 200), (30, 100), (44, 200), (60, 300), (10, 299)):
            await progress(cluster, video, percent, sent_at=BEGINNING + sent_at, user_id=owner)
        assert await seen_by(cluster, page, video) == [45, 60]
        assert await seen_by(cluster, browser, video) == [45, 60]
    assert await active_for_a_new_admin(cluster, video) == [60]


@pytest.mark.parametrize("ending", ["transcode_complete", "transcode_failed"])
async def test_an_ended_transcode_is_not_active_and_late_progress_does_not_revive_it(
    cluster: Cluster, ending: str
) -> None:
    owner, video = cluster.number(), cluster.number()
    fields = {"transcode_complete": {"format_type": "av1", "file_size": 1}, "transcode_failed": {"error": "e"}}[ending]
    async with cluster.admin() as page, cluster.user(owner) as browser:
        await progress(cluster, video, 99, user_id=owner)
        await cluster.router.notify(ending, video_id=video, title="示例视频", user_id=owner, **fields)
        await progress(cluster, video, 98, user_id=owner)
        await progress(cluster, video, 97, user_id=owner, sent_at=BEGINNING)
        for client in (page, browser):
            assert await seen_by(cluster, client, video) == [99, ending]
    assert await active_for_a_new_admin(cluster, video) == []
    async with cluster.user(owner, node=cluster.nodes[1]) as browser:
        assert await seen_by(cluster, browser, video) == []


async def test_an_end_that_arrives_late_is_still_told_but_does_not_end_a_newer_run(cluster: Cluster) -> None:
    video = cluster.number()
    async with cluster.admin() as page:
        await progress(cluster, video, 5, sent_at=BEGINNING + 500)
        await complete(cluster, video, sent_at=BEGINNING + 400)
        assert await seen_by(cluster, page, video) == [5, "transcode_complete"], "an event reaches its audience"
    assert await active_for_a_new_admin(cluster, video) == [5]


async def test_a_newer_start_revives_an_ended_transcode(cluster: Cluster) -> None:
    by_zero, by_time = cluster.number(), cluster.number()
    for video in (by_zero, by_time):
        await complete(cluster, video, sent_at=BEGINNING + 100)
    async with cluster.admin() as page:
        await progress(cluster, by_zero, 0)
        assert await seen_by(cluster, page, by_zero) == [0]
        await progress(cluster, by_time, 5, sent_at=BEGINNING + 200)
        assert await seen_by(cluster, page, by_time) == [5]
    assert await active_for_a_new_admin(cluster, by_zero) == [0]
    assert await active_for_a_new_admin(cluster, by_time) == [5]


async def test_a_producer_whose_clock_runs_ahead_does_not_silence_the_others(cluster: Cluster) -> None:
    video = cluster.number()
    await progress(cluster, video, 10, sent_at=BEGINNING + 3600 * 1_000_000)
    async with cluster.admin() as page:
        await progress(cluster, video, 20)
        assert (await seen_by(cluster, page, video))[-1] == 20


async def test_hundreds_of_values_a_moment_cost_no_order_and_the_last_one_is_seen(cluster: Cluster) -> None:
    video = cluster.number()
    items = [
        {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": n / 10}
        for n in range(1, 501)
    ]
    async with cluster.admin() as page:
        answer = await cluster.router.post("notifications/batch", {"items": items})
        assert {result["status"] for result in answer.json()["results"]} == {202}
        shown = await seen_by(cluster, page, video)
        assert shown == sorted(shown)
        assert shown[-1] == 50


async def test_a_batch_that_ends_a_transcode_ends_it(cluster: Cluster) -> None:
    video = cluster.number()
    items = [
        {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": 99},
        {"type": "transcode_complete", "video_id": video, "title": "示例", "format_type": "av1", "file_size": 1},
    ]
    await cluster.router.post("notifications/batch", {"items": items})
    assert await active_for_a_new_admin(cluster, video) == []
    assert (await cluster.router.read(f"transcodes/{video}"))["type"] == "transcode_complete"


# --- polling


async def test_polling_shows_an_owner_its_own_an_admin_all_and_others_nothing(cluster: Cluster) -> None:
    owner, video, foreign = cluster.number(), cluster.number(), cluster.number()
    await progress(cluster, video, 45, user_id=owner, message="已完成")
    await progress(cluster, foreign, 45, user_id=cluster.number())
    tokens = cluster.tokens
    state = await polled(cluster, video, tokens.user(owner))
    assert state is not None
    assert state.pop("timestamp").endswith("Z")
    expected = {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": 45}
    assert state == expected | {"message": "已完成"}
    assert await polled(cluster, video, tokens.admin()) is not None
    assert await polled(cluster, foreign, tokens.admin()) is not None
    assert await polled(cluster, foreign, tokens.user(owner)) is None
    assert await polled(cluster, video, tokens.user(cluster.number())) is None
    assert await polled(cluster, cluster.number(), tokens.admin()) is None
    assert await polled(cluster, video, tokens.user(cluster.number(), is_admin="true")) is None


async def test_polling_without_a_token_is_401(cluster: Cluster) -> None:
    for path in ("/api/v1/transcodes", "/api/v1/transcodes/1"):
        for bearer in (None, "garbage", cluster.api_key):
            answer = await cluster.node.get(path, bearer=bearer)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_polling_still_shows_how_a_transcode_ended(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    await progress(cluster, video, 99, user_id=owner)
    await complete(cluster, video, user_id=owner)
    for bearer in (cluster.tokens.user(owner), cluster.tokens.admin()):
        state = await polled(cluster, video, bearer)
        assert state is not None
        assert state["type"] == "transcode_complete"
        assert state["title"] == "示例视频"


async def test_the_router_shows_the_same_states(cluster: Cluster) -> None:
    video = cluster.number()
    await progress(cluster, video, 45, user_id=cluster.number())
    state = await cluster.router.read(f"transcodes/{video}")
    assert (state["type"], state["progress"]) == ("transcode_progress", 45)
    assert state in (await cluster.routers[1].read("transcodes"))["transcodes"]
    assert (await cluster.router.get(f"transcodes/{cluster.number()}")).status_code == 404


async def test_more_states_than_a_page_are_shown_whole_and_in_the_order_of_change(cluster: Cluster) -> None:
    videos = [cluster.number() for _ in range(700)]
    items = [{"type": "transcode_progress", "video_id": v, "status": "x", "progress": 1} for v in videos]
    assert (await cluster.router.post("notifications/batch", {"items": items})).status_code == 200
    await progress(cluster, videos[0], 2)
    moved = [*videos[1:], videos[0]]
    shown = [state["video_id"] for state in (await cluster.router.read("transcodes"))["transcodes"]]
    assert [video for video in shown if video in set(videos)] == moved
    async with cluster.admin(node=cluster.nodes[1]) as page:
        heard: list[int] = []
        while not heard or heard[-1] != moved[-1]:
            heard.append((await page.receive("transcode_progress"))["video_id"])
        assert [video for video in heard if video in set(videos)] == moved


async def test_a_transcode_without_news_is_active_no_longer(new_cluster) -> None:
    cluster = await new_cluster(STATE_TTL="5")
    await progress(cluster, 5, 45)
    assert await active_for_a_new_admin(cluster, 5) == [45]

    async def forgotten() -> bool:
        return (await cluster.router.get("transcodes/5")).status_code == 404

    await until(forgotten)

    async def active_no_longer() -> bool:
        return await active_for_a_new_admin(cluster, 5) == []

    await until(active_no_longer)
