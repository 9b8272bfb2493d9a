"""Batches: each item is judged, published and repeated by itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.router.served import CUSTOM, PROGRESS, SYSTEM

COMPLETE = {"type": "transcode_complete", "video_id": 123, "title": "示例视频", "format_type": "av1", "file_size": 1024}


async def test_a_bad_item_is_reported_at_its_place_and_harms_no_other(router: httpx.AsyncClient) -> None:
    items = [CUSTOM, {"audience": "x"}, CUSTOM, {**CUSTOM, "message": {"type": "connected"}}, CUSTOM]
    answer = await router.post("/messages/batch", json={"items": items})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 422, 202, 422, 202]
    assert len({result["id"] for result in results if result["status"] == 202}) == 3


@pytest.mark.parametrize("odd", [5, None, "x", [], [1], True])
@pytest.mark.parametrize(("path", "good"), [("notifications", SYSTEM), ("messages", CUSTOM)])
async def test_an_item_that_is_no_object_harms_no_other(
    router: httpx.AsyncClient, path: str, good: dict[str, Any], odd: Any
) -> None:
    items = [good, odd, {**good, "idempotency_key": "k"}]
    answer = await router.post(f"/{path}/batch", json={"items": items})
    assert [result["status"] for result in answer.json()["results"]] == [202, 422, 202]


async def test_items_with_keys_of_their_own_are_done_once_each(router: httpx.AsyncClient) -> None:
    items = [{**CUSTOM, "idempotency_key": f"k{number}"} for number in range(3)]
    first = (await router.post("/messages/batch", json={"items": items})).json()["results"]
    changed = [{**items[0], "audience": "all"}, *items[1:]]
    again = (await router.post("/messages/batch", json={"items": changed})).json()["results"]
    assert [result["status"] for result in again] == [409, 202, 202]
    assert [result["id"] for result in again[1:]] == [result["id"] for result in first[1:]]


async def test_a_repeated_batch_gets_the_first_answers(router: httpx.AsyncClient) -> None:
    body, headers = {"items": [SYSTEM, COMPLETE, SYSTEM]}, {"Idempotency-Key": "k"}
    first, again = [await router.post("/notifications/batch", json=body, headers=headers) for _ in range(2)]
    assert first.json() == again.json()


async def test_the_same_key_with_another_batch_is_409_and_sends_nothing(router: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    await router.post("/notifications/batch", json={"items": [SYSTEM]}, headers=headers)
    answer = await router.post("/notifications/batch", json={"items": [SYSTEM, SYSTEM]}, headers=headers)
    assert answer.status_code == 409
    first, second = [(await router.post("/notifications", json=SYSTEM)).json()["id"] for _ in range(2)]
    assert [int(id_.rpartition("-")[2]) for id_ in (first, second)] == [2, 3]


async def test_states_in_a_batch_with_a_key_keep_their_order(router: httpx.AsyncClient) -> None:
    items = [PROGRESS | {"progress": percent} for percent in (10, 20, 30)]
    await router.post("/notifications/batch", json={"items": items}, headers={"Idempotency-Key": "k"})
    assert (await router.get("/transcodes/123")).json()["progress"] == 30


@pytest.mark.parametrize("items", [[], [SYSTEM] * 1001, "x", None])
async def test_a_batch_has_one_to_a_thousand_items(router: httpx.AsyncClient, items: Any) -> None:
    assert (await router.post("/notifications/batch", json={"items": items})).status_code == 422


async def test_of_two_states_of_a_video_in_one_batch_the_later_counts(router: httpx.AsyncClient) -> None:
    items = [PROGRESS | {"progress": percent} for percent in (10, 20, 30)]
    await router.post("/notifications/batch", json={"items": items})
    assert (await router.get("/transcodes/123")).json()["progress"] == 30


async def test_progress_and_end_in_one_batch_end_the_transcode(router: httpx.AsyncClient) -> None:
    await router.post("/notifications/batch", json={"items": [PROGRESS | {"progress": 99}, COMPLETE]})
    assert (await router.get("/transcodes/123")).json()["type"] == "transcode_complete"
