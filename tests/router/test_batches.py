"""Batches of which some cannot be read: each item is judged by itself, as far as it is clear where it ends."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.router.served import CUSTOM, PROGRESS

GOOD = json.dumps(CUSTOM).encode()
UNREADABLE = {
    "an integer of 5,000 digits": b"9" * 5000,
    "a negative one": b"-" + b"9" * 5000,
    "half a surrogate pair": b'"\\udce9"',
    "nested 300 levels deep": b"[" * 300 + b"]" * 300,
    "NaN": b"NaN",
    "-Infinity": b"-Infinity",
    "Latin-1": b'"caf\xe9"',
}


def custom(value: bytes) -> bytes:
    return b'{"audience":"all","message":{"type":"x","v":[{"w":%b}]}}' % value


async def post(router: httpx.AsyncClient, *items: bytes, kind: str = "messages") -> list[Any]:
    answer = await router.post(f"/{kind}/batch", content=b'{ "items" : [\n' + b" ,\n".join(items) + b"]\n}\n")
    assert answer.status_code == 200, answer.text
    results: list[Any] = answer.json()["results"]
    return results


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_item_that_cannot_be_read_harms_no_other(router: httpx.AsyncClient, value: bytes) -> None:
    invalid = b'{"audience":"everyone"}'
    results = await post(router, GOOD, custom(value), GOOD, invalid, custom(value), GOOD)
    assert [result["status"] for result in results] == [202, 422, 202, 422, 422, 202]
    numbers = [int(result["id"].rpartition("-")[2]) for result in results if result["status"] == 202]
    assert numbers == [1, 2, 3]
    (why,) = results[1]["detail"]
    assert why["loc"] == ["body"]
    assert "cannot be read as JSON in UTF-8" in why["msg"]
    assert "line 1 column" in why["msg"]  # of the item
    assert results[3]["detail"][0]["loc"] == ["body", "audience"]


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
async def test_alone_in_a_call_it_is_422(router: httpx.AsyncClient, value: bytes) -> None:
    answer = await router.post("/messages", content=custom(value))
    assert answer.status_code == 422
    assert "cannot be read as JSON in UTF-8" in answer.text


async def test_notifications_are_judged_apart_too(router: httpx.AsyncClient) -> None:
    good, bad = json.dumps(PROGRESS).encode(), json.dumps(PROGRESS | {"progress": float("nan")}).encode()
    assert [result["status"] for result in await post(router, bad, good, kind="notifications")] == [422, 202]


async def test_a_key_is_that_of_the_same_item_in_a_batch_that_can_be_read(router: httpx.AsyncClient) -> None:
    item = json.dumps(CUSTOM | {"idempotency_key": "k"}, indent=1).encode()
    (first,) = await post(router, item)
    _, again = await post(router, custom(b"NaN"), item)
    assert again == first


async def test_a_batch_with_such_an_item_may_be_repeated_as_any_other(router: httpx.AsyncClient) -> None:
    body = b'{"items":[%b,%b]}' % (custom(b"NaN"), GOOD)
    answers = [await router.post("/messages/batch", content=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].status_code == 200
    assert answers[0].text == answers[1].text


@pytest.mark.parametrize(
    "body",
    [
        b'{"items":[%b,{"n":01}]}' % GOOD,
        b'{"items":[%b,{"n":NaN}]' % GOOD,
        b'{"items":[%b,{"n":NaN},]}' % GOOD,
        b'{"items":[%b {"n":NaN}]}' % GOOD,
        b'{"items":[%b,{"n":NaN}]}]' % GOOD,
        b'{"items":[%b,{"t":"a "quoted" word"}]}' % GOOD,
        b'{"items":[%b,%b]}' % (GOOD, b"[" * 50_000),
        b'{"items":[%b,NaN],"more":1}' % GOOD,
        b'{"items":NaN}',
        b"NaN",
    ],
    ids=range(10),
)
async def test_where_it_is_not_clear_what_is_an_item_the_call_is_422(router: httpx.AsyncClient, body: bytes) -> None:
    answer = await router.post("/messages/batch", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]
    assert (await router.post("/messages", content=GOOD)).json()["id"].endswith("-1")  # nothing was sent


@pytest.mark.parametrize("behind", [b"]}", b",[}"], ids=["no more", "more"])
async def test_it_too_has_a_thousand_items_at_most_and_those_behind_are_not_looked_at(
    router: httpx.AsyncClient, behind: bytes
) -> None:
    answer = await router.post("/messages/batch", content=b'{"items":[%b' % b",".join([b"NaN"] * 1001) + behind)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "items"]


@pytest.mark.parametrize("kind", ["messages", "notifications"])
@pytest.mark.parametrize("items", [[CUSTOM], [PROGRESS], ["x"]], ids=str)
async def test_a_field_beside_the_items_is_422_whatever_they_are(
    router: httpx.AsyncClient, kind: str, items: list[Any]
) -> None:
    answer = await router.post(f"/{kind}/batch", json={"items": items, "idempotency_key": "k"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "idempotency_key"]
