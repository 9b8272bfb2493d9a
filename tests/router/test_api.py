"""The router's publishing calls, served as they are, on a real server for Redis."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from router.__main__ import build
from shared.keys import Keys
from shared.otel_settings import OtelSettings
from tests.router.served import CUSTOM, KEY, PROGRESS, SYSTEM, bearer, settings
from tests.support.ports import free_port

COMPLETE = {"type": "transcode_complete", "video_id": 123, "title": "示例视频", "format_type": "av1", "file_size": 1024}


async def published(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"id", "ids", "nodes", "online", "trace_id"}
    return body


# --- one message


async def test_an_event_is_answered_with_its_ids(router: httpx.AsyncClient) -> None:
    body = await published(await router.post("/notifications", json={**COMPLETE, "user_id": 7}))
    assert list(body["ids"]) == ["admin", "user:7"]
    assert body["id"] == body["ids"]["admin"]
    assert (body["nodes"], body["online"]) == (0, False)


async def test_a_state_is_answered_without_an_id(router: httpx.AsyncClient) -> None:
    body = await published(await router.post("/notifications", json=PROGRESS))
    assert (body["id"], body["ids"]) == (None, {})


@pytest.mark.parametrize(
    ("target", "labels"),
    [(None, ["admin"]), ("admin", ["admin"]), ("all", ["all"]), ({"users": [7, "alice", 7]}, ["user:7", "user:alice"])],
)
async def test_a_system_message_goes_to_its_target(router: httpx.AsyncClient, target: Any, labels: list[str]) -> None:
    body = await published(await router.post("/notifications", json=SYSTEM | ({"target": target} if target else {})))
    assert list(body["ids"]) == labels


async def test_a_custom_message_goes_to_its_audience(router: httpx.AsyncClient) -> None:
    body = await published(await router.post("/messages", json=CUSTOM))
    assert list(body["ids"]) == ["user:7", "user:8"]


async def test_the_callers_trace_goes_on(router: httpx.AsyncClient) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = await published(await router.post("/messages", json=CUSTOM, headers={"traceparent": trace}))
    assert body["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("notifications", {**PROGRESS, "progress": 101}, ["body", "progress"]),
        ("notifications", {**PROGRESS, "video_id": "x"}, ["body", "video_id"]),
        ("notifications", {**PROGRESS, "user_id": "a b"}, ["body", "user_id"]),
        ("notifications", {**PROGRESS, "extra": 1}, ["body", "extra"]),
        ("notifications", {**PROGRESS, "target": "all"}, ["body", "target"]),
        ("notifications", {**SYSTEM, "user_id": 7}, ["body", "user_id"]),
        ("notifications", {**SYSTEM, "level": "fatal"}, ["body", "level"]),
        ("notifications", {**SYSTEM, "expires_at": "soon"}, ["body", "expires_at"]),
        ("notifications", {**SYSTEM, "target": {"users": []}}, ["body", "target", "users"]),
        ("notifications", {**SYSTEM, "id": "x"}, ["body", "id"]),
        ("notifications", {**SYSTEM, "Name": "x"}, ["body", "Name"]),
        ("messages", {**CUSTOM, "str": "x"}, ["body", "str"]),
        ("notifications", {"message": "x"}, ["body", "type"]),
        ("notifications", {"type": "connected"}, ["body", "type"]),
        ("notifications", {"type": None}, ["body", "type"]),
        ("notifications", {**SYSTEM, "idempotency_key": "钥匙"}, ["body", "idempotency_key"]),
        ("messages", {"audience": "everyone", "message": {"type": "x"}}, ["body", "audience"]),
        ("messages", {"message": {"type": "x"}}, ["body", "audience"]),
        ("messages", {"audience": "all"}, ["body", "message"]),
        ("messages", {"audience": "all", "message": {}}, ["body", "message", "type"]),
        ("messages", {"audience": "all", "message": {"type": "connected"}}, ["body", "message", "type"]),
        ("messages", {"audience": "all", "message": {"type": "x", "id": 1}}, ["body", "message", "id"]),
        ("messages", {"audience": "all", "message": {**PROGRESS, "progress": 101}}, ["body", "message", "progress"]),
        (
            "messages",
            {"audience": {"users": list(range(1001))}, "message": {"type": "x"}},
            ["body", "audience", "users"],
        ),
    ],
)
async def test_what_is_invalid_is_422_and_names_the_field(
    router: httpx.AsyncClient, path: str, body: dict[str, Any], where: list[str]
) -> None:
    answer = await router.post(f"/{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert where in [error["loc"] for error in answer.json()["detail"]]


@pytest.mark.parametrize(
    ("audience", "where"),
    [
        ("everyone", []),
        ("7", []),
        (7, []),
        (["admin"], []),
        ({}, ["users"]),
        ({"users": 7}, ["users"]),
        ({"users": ["a b"]}, ["users", 0]),
        ({"users": [7, None]}, ["users", 1]),
        ({"users": [7], "admin": True}, ["admin"]),
    ],
)
async def test_of_a_wrong_audience_the_one_thing_that_is_wrong_is_told(
    router: httpx.AsyncClient, audience: Any, where: list[Any]
) -> None:
    for path, body, field in (
        ("messages", {"audience": audience, "message": {"type": "x"}}, "audience"),
        ("notifications", {**SYSTEM, "target": audience}, "target"),
    ):
        (error,) = (await router.post(f"/{path}", json=body)).json()["detail"]
        assert error["loc"] == ["body", field, *where]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ('"v":1e999', ["v"]),
        ('"v":[0,{"w":-1E+400}]', ["v", "1", "w"]),
        (f'"v":1{"0" * 309}.0', ["v"]),
    ],
)
async def test_a_number_too_large_for_any_browser_is_422(
    router: httpx.AsyncClient, fields: str, where: list[str]
) -> None:
    body = f'{{"audience":"all","message":{{"type":"x",{fields}}}}}'
    single = await router.post("/messages", content=body)
    assert single.status_code == 422, single.text
    assert single.json()["detail"][0]["loc"] == ["body", "message", *where]
    batch = await router.post("/messages/batch", content=f'{{"items":[{body},{json.dumps(CUSTOM)}]}}')
    assert [result["status"] for result in batch.json()["results"]] == [422, 202]


async def test_infinity_is_a_word_like_any_other(router: httpx.AsyncClient) -> None:
    words = {"type": "x", "a": "Infinity", "b": ["-Infinity", "NaN"], "c": 'Infinity"', "NaN": 1e300}
    await published(await router.post("/messages", json={"audience": "all", "message": words}))


async def test_a_type_that_is_missing_or_unknown_is_told_with_those_there_are(router: httpx.AsyncClient) -> None:
    results = await router.post("/notifications/batch", json={"items": [{"type": "x"}, {"message": "x"}]})
    (unknown,), (missing,) = (result["detail"] for result in results.json()["results"])
    assert unknown["loc"] == missing["loc"] == ["body", "type"]
    assert "'system_message'" in unknown["msg"]
    assert missing["msg"] == "Field required"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'"x"', b'{"type":NaN}', b"\xff\xfe", b"[" * 10_000, b'{"a":"\\ud800"}']
)
@pytest.mark.parametrize("path", ["notifications", "messages", "notifications/batch", "messages/batch"])
async def test_a_body_that_is_no_json_object_is_422(router: httpx.AsyncClient, path: str, content: bytes) -> None:
    answer = await router.post(f"/{path}", content=content)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize("content", ["null", "[]", '"x"', "5"])
@pytest.mark.parametrize("path", ["notifications", "messages"])
async def test_what_is_no_object_is_told_in_words_of_json(router: httpx.AsyncClient, path: str, content: str) -> None:
    one = (await router.post(f"/{path}", content=content)).json()["detail"]
    many = (await router.post(f"/{path}/batch", content=content)).json()["detail"]
    item = (await router.post(f"/{path}/batch", content=f'{{"items":[{content}]}}')).json()["results"][0]["detail"]
    for detail in (one, many, item):
        assert [(error["loc"], error["msg"]) for error in detail] == [(["body"], "Input should be an object")]


async def test_a_message_or_body_too_large_is_413(router: httpx.AsyncClient) -> None:
    large = {"audience": "all", "message": {"type": "x", "text": "长" * 22_000}}
    assert (await router.post("/messages", json=large)).status_code == 413
    assert (await router.post("/messages", content=b" " * 200_001)).status_code == 413


# --- doing it again


async def test_a_repeated_call_gets_the_first_answer_word_for_word(router: httpx.AsyncClient) -> None:
    answers = [await router.post("/messages", json=CUSTOM, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert len({answer.text for answer in answers}) == 1
    await published(answers[0])


async def test_the_same_key_with_another_body_or_call_is_409(router: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    await published(await router.post("/messages", json=CUSTOM, headers=headers))
    assert (await router.post("/messages", json={**CUSTOM, "audience": "all"}, headers=headers)).status_code == 409
    assert (await router.post("/notifications", json=SYSTEM, headers=headers)).status_code == 409


async def test_another_callers_key_is_another_key(router: httpx.AsyncClient) -> None:
    first = await router.post("/messages", json=CUSTOM, headers={"Idempotency-Key": "k"})
    second = await router.post("/messages", json=CUSTOM, headers={"Idempotency-Key": "k", **bearer("publish")})
    assert (await published(first))["id"] != (await published(second))["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "钥匙"])
async def test_a_key_that_is_none_is_422(router: httpx.AsyncClient, key: str) -> None:
    answer = await router.post("/messages", json=CUSTOM, headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


@pytest.mark.parametrize("in_body", ["other", "钥匙"])
async def test_another_key_in_the_body_than_in_the_header_is_422(router: httpx.AsyncClient, in_body: str) -> None:
    headers = {"Idempotency-Key": "k"}
    answer = await router.post("/messages", json={**CUSTOM, "idempotency_key": in_body}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    await published(await router.post("/messages", json={**CUSTOM, "idempotency_key": "k"}, headers=headers))


async def test_a_batchs_key_is_that_of_its_items_without_one(router: httpx.AsyncClient) -> None:
    headers, batch = {"Idempotency-Key": "k"}, {"items": [{**CUSTOM, "idempotency_key": "own"}, CUSTOM]}
    first, again = [await router.post("/messages/batch", json=batch, headers=headers) for _ in range(2)]
    alone = await router.post("/messages/batch", json={"items": batch["items"][:1]})
    assert first.text == again.text
    assert alone.json()["results"] == first.json()["results"][:1]


async def test_an_items_key_that_is_none_is_422_at_its_place(router: httpx.AsyncClient) -> None:
    items = [{**CUSTOM, "idempotency_key": "钥匙"}, CUSTOM]
    bad, good = (await router.post("/messages/batch", json={"items": items})).json()["results"]
    assert (bad["status"], good["status"]) == (422, 202)
    assert bad["detail"][0]["loc"] == ["body", "idempotency_key"]


async def test_without_redis_it_is_503_with_a_key_that_completes_it(keys: Keys) -> None:
    async with build(settings(f"redis://127.0.0.1:{free_port()}/0", keys), OtelSettings()) as app:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://router", headers=headers
        ) as client:
            made = await client.post("/api/v1/messages", json=CUSTOM)
            given = await client.post(
                "/api/v1/messages/batch", json={"items": [CUSTOM]}, headers={"Idempotency-Key": "mine"}
            )
            ready = await client.get("/readyz")
            read = [
                await client.get(f"/api/v1/{path}") for path in ("stats", "nodes", "transcodes", "users/7/connections")
            ]
    for answer in (made, given):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert made.json()["operation_key"]
    assert given.json()["operation_key"] == "mine"
    assert ready.status_code == 200
    assert [answer.status_code for answer in read] == [503] * 4
