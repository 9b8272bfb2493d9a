"""Many messages in one call, and calls that may be repeated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.cluster import Cluster


def to(user: int, **fields: Any) -> dict[str, Any]:
    return {"audience": {"users": [user]}, "message": {"type": "custom", **fields}}


async def test_the_same_call_with_the_same_key_is_answered_alike_and_delivered_once(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        answers = [
            await router.post("messages", to(user, text="一次"), key="order-1")
            for router in (*cluster.routers, cluster.router)
        ]
        assert [answer.status_code for answer in answers] == [202] * 3
        assert len({answer.text for answer in answers}) == 1
        assert (await browser.receive("custom"))["id"] == answers[0].json()["id"]
        await cluster.nobody_hears(browser)


async def test_twenty_calls_at_once_with_one_key_are_one_message(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        answers = await asyncio.gather(
            *(cluster.routers[i % 2].post("messages", to(user, text="一次"), key="crowd") for i in range(20))
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        await browser.receive("custom")
        await cluster.nobody_hears(browser)


async def test_the_same_key_with_another_body_is_409_and_nothing_is_sent(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        assert (await cluster.router.post("messages", to(user, n=1), key="order-2")).status_code == 202
        assert (await cluster.router.post("messages", to(user, n=2), key="order-2")).status_code == 409
        assert (await cluster.router.post("messages", to(user, n=1), key="order-2")).status_code == 202
        assert (await browser.receive("custom"))["n"] == 1
        await cluster.nobody_hears(browser)


async def test_a_key_belongs_to_its_caller(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        await cluster.router.post("messages", to(user, n=1), key="order-3")
        other = cluster.tokens.mint(sub="transcoder", scope="publish")
        assert (await cluster.router.post("messages", to(user, n=2), key="order-3", bearer=other)).status_code == 202
        assert [message["n"] for message in await browser.receive_many("custom", 2)] == [1, 2]


async def test_a_call_that_was_refused_uses_up_no_key(cluster: Cluster) -> None:
    user = cluster.number()
    bad = to(user) | {"message": {"type": "connected"}}
    assert (await cluster.router.post("messages", bad, key="order-4")).status_code == 422
    assert (await cluster.router.post("messages", to(user), key="order-4")).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tulator"])
async def test_a_key_that_is_none_is_422(cluster: Cluster, key: str) -> None:
    answer = await cluster.router.post("messages", to(1), key=key)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.text


async def test_a_progress_with_a_key_may_be_repeated_too(cluster: Cluster) -> None:
    video = cluster.number()
    body = {"type": "transcode_progress", "video_id": video, "status": "processing", "progress": 1}
    first, second = [await cluster.router.post("notifications", body, key=f"p-{video}") for _ in range(2)]
    assert first.status_code == second.status_code == 202
    assert first.text == second.text


async def test_a_bad_item_is_reported_at_its_place_and_harms_no_other(cluster: Cluster) -> None:
    user = cluster.number()
    items = [
        to(user, n=0),
        {"audience": {"users": ["no spaces"]}, "message": {"type": "custom"}},
        to(user, n=2),
        to(user) | {"message": {"type": "connected"}},
        {},
        to(user, n=5, text="x" * 70_000),
        to(user, n=6),
    ]
    async with cluster.user(user) as browser:
        answer = await cluster.router.post("messages/batch", {"items": items})
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert [result["status"] for result in results] == [202, 422, 202, 422, 422, 413, 202]
        assert "audience" in str(results[1]["detail"])
        assert "type" in str(results[3]["detail"])
        received = await browser.receive_many("custom", 3)
        assert [message["n"] for message in received] == [0, 2, 6]
        assert [message["id"] for message in received] == [results[i]["id"] for i in (0, 2, 6)]
        await cluster.nobody_hears(browser)


async def test_a_batch_of_notifications_goes_to_owners_and_admins(cluster: Cluster) -> None:
    owner = cluster.number()
    videos = [cluster.number() for _ in range(3)]
    items = [
        {"type": "transcode_failed", "video_id": video, "title": "示例", "error": "e", "user_id": owner}
        for video in videos
    ]
    async with cluster.user(owner) as browser, cluster.admin() as page:
        answer = await cluster.router.post("notifications/batch", {"items": [*items, {"type": "nonsense"}]})
        assert [result["status"] for result in answer.json()["results"]] == [202, 202, 202, 422]
        for client in (browser, page):
            received = await client.receive_many("transcode_failed", 3)
            assert [message["video_id"] for message in received] == videos
        await browser.nothing_else()


async def test_a_thousand_items_are_taken_and_one_more_is_not(cluster: Cluster) -> None:
    user = cluster.number()
    items = [to(user, n=n) for n in range(1001)]
    async with cluster.user(user) as browser:
        assert (await cluster.router.post("messages/batch", {"items": items})).status_code == 422
        assert (await cluster.router.post("messages/batch", {"items": []})).status_code == 422
        answer = await cluster.router.post("messages/batch", {"items": items[:1000]})
        assert {result["status"] for result in answer.json()["results"]} == {202}
        received = await browser.receive_many("custom", 1000)
        assert [message["n"] for message in received] == list(range(1000))
        await cluster.nobody_hears(browser)


async def test_items_with_keys_of_their_own_are_delivered_once(cluster: Cluster) -> None:
    user = cluster.number()
    items = [to(user, n=n) | {"idempotency_key": f"item-{user}-{n}"} for n in range(3)]
    async with cluster.user(user) as browser:
        first = (await cluster.router.post("messages/batch", {"items": items})).json()["results"]
        again = (await cluster.routers[1].post("messages/batch", {"items": items[::-1]})).json()["results"]
        assert again == first[::-1]
        other = to(user, n=99) | {"idempotency_key": items[0]["idempotency_key"]}
        third = (await cluster.router.post("messages/batch", {"items": [other, to(user, n=3)]})).json()["results"]
        assert [result["status"] for result in third] == [409, 202]
        assert [message["n"] for message in await browser.receive_many("custom", 4)] == [0, 1, 2, 3]
        await cluster.nobody_hears(browser)


async def test_a_whole_batch_may_be_repeated_with_the_calls_key(cluster: Cluster) -> None:
    user = cluster.number()
    items = [to(user, n=n) for n in range(5)]
    async with cluster.user(user) as browser:
        answers = [
            await router.post("messages/batch", {"items": items}, key=f"batch-{user}") for router in cluster.routers
        ]
        assert answers[0].text == answers[1].text
        assert [message["n"] for message in await browser.receive_many("custom", 5)] == list(range(5))
        await cluster.nobody_hears(browser)


async def test_a_batch_to_very_many_users_arrives_whole_and_holds_up_nobody(cluster: Cluster) -> None:
    users = [cluster.number() for _ in range(100)]
    items = [{"audience": {"users": users}, "message": {"type": "custom", "n": n}} for n in range(600)]
    async with cluster.user(users[0]) as first, cluster.user(users[-1]) as last:
        batch = asyncio.create_task(cluster.router.post("messages/batch", {"items": items}))
        others = 0
        while not batch.done():  # each is answered while the batch is under way
            await cluster.router.send({"users": [cluster.number()]}, {"type": "other"})
            others += 1
        answer = await batch
        assert others > 1
        assert {result["status"] for result in answer.json()["results"]} == {202}
        for browser in (first, last):
            assert [message["n"] for message in await browser.receive_many("custom", 600)] == list(range(600))


async def test_a_batch_that_would_be_kept_in_too_many_copies_is_413_and_nothing_is_sent(cluster: Cluster) -> None:
    user = cluster.number()
    item = {"audience": {"users": [user, *range(10_000, 10_999)]}, "message": {"type": "custom", "text": "x" * 60_000}}
    async with cluster.user(user) as browser:
        answer = await cluster.router.post("messages/batch", {"items": [item, item]})
        assert answer.status_code == 413
        assert "several calls" in answer.json()["detail"]
        await cluster.nobody_hears(browser)
