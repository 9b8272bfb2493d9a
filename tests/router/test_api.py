"""The router's HTTP calls, served as they are, on a real server for Redis."""

from __future__ import annotations

import json
import re
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


# --- batches


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


# --- reading and ending


async def test_states_are_shown_newest_change_last_without_an_id(router: httpx.AsyncClient) -> None:
    for video in (1, 2, 1):
        await router.post("/notifications", json={**PROGRESS, "video_id": video})
    shown = (await router.get("/transcodes")).json()["transcodes"]
    assert [state["video_id"] for state in shown] == [2, 1]
    assert set(shown[0]) == {"type", "video_id", "status", "progress", "message", "timestamp"}
    assert (await router.get("/transcodes/9")).status_code == 404


async def test_a_user_is_blocked_and_let_in_again(router: httpx.AsyncClient) -> None:
    ended = await router.delete("/users/7/connections", params={"block_seconds": 60})
    assert (ended.status_code, ended.json()["user_id"], ended.json()["connections"]) == (200, 7, 0)
    assert ended.json()["blocked_until"].endswith("Z")
    lifted = [(await router.delete("/users/7/block")).json()["was_blocked"] for _ in range(2)]
    assert lifted == [True, False]
    assert (await router.delete("/users/7/connections")).json()["blocked_until"] is None


async def test_nobody_is_connected_anywhere(router: httpx.AsyncClient) -> None:
    assert (await router.get("/users/alice/connections")).json() == {"user_id": "alice", "connections": 0, "nodes": {}}
    assert (await router.get("/nodes")).json() == {"nodes": []}
    assert set((await router.get("/stats")).json().values()) == {0}


@pytest.mark.parametrize("user", ["a b", "a.b", "x" * 129, "用户"])
async def test_a_user_id_that_is_none_is_422(router: httpx.AsyncClient, user: str) -> None:
    assert (await router.get(f"/users/{user}/connections")).status_code == 422
    assert (await router.delete(f"/users/{user}/block")).status_code == 422


# --- who may


CALLS = [
    ("POST", "/notifications", "publish"),
    ("POST", "/messages", "publish"),
    ("POST", "/notifications/batch", "publish"),
    ("POST", "/messages/batch", "publish"),
    ("GET", "/stats", "read"),
    ("GET", "/nodes", "read"),
    ("GET", "/users/7/connections", "read"),
    ("GET", "/transcodes", "read"),
    ("GET", "/transcodes/1", "read"),
    ("DELETE", "/users/7/connections", "admin"),
    ("DELETE", "/users/7/block", "admin"),
    ("DELETE", "/users/7/data", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_every_call_needs_a_credential_and_its_scope(
    router: httpx.AsyncClient, method: str, path: str, scope: str
) -> None:
    others = " ".join({"publish", "read", "admin"} - {scope})
    nobody = await router.request(method, path, headers={"Authorization": ""})
    wrong = await router.request(method, path, headers={"Authorization": "Bearer wrong"})
    without = await router.request(method, path, headers=bearer(others))
    allowed = await router.request(method, path, headers=bearer(scope))
    assert [answer.status_code for answer in (nobody, wrong, without)] == [401, 401, 403]
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert allowed.status_code in {200, 404, 422}


# --- its documentation


async def test_openapi_documents_every_call(router: httpx.AsyncClient) -> None:
    document = (await router.get("http://router/openapi.json")).json()
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    named = {
        (method, "/api/v1" + path.replace("/7/", "/{user_id}/").replace("/transcodes/1", "/transcodes/{video_id}"))
        for method, path, _ in CALLS
    }
    assert documented == named
    for (method, path), operation in ((key, document["paths"][key[1]][key[0].lower()]) for key in documented):
        assert operation.get("summary"), path
        assert {"401", "403", "503"} <= set(operation["responses"]), path
        if method == "POST":
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert operation["requestBody"].get("required"), path
            assert resolved(document, schema).get("properties") or schema.get("oneOf"), path
            assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
            assert {"409", "413", "422"} <= set(operation["responses"])


async def test_openapi_says_with_what_credential_and_scope_each_call_is_made(router: httpx.AsyncClient) -> None:
    document = (await router.get("http://router/openapi.json")).json()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"], others) == ("http", "bearer", [])
    for method, called, scope in CALLS:
        path = called.replace("/7/", "/{user_id}/").replace("/transcodes/1", "/transcodes/{video_id}")
        operation = document["paths"][f"/api/v1{path}"][method.lower()]
        assert operation["security"] == [{name: [scope]}], path


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"].get(name, schema)
    return found


async def test_openapi_shows_each_typed_messages_fields(router: httpx.AsyncClient) -> None:
    text = (await router.get("http://router/openapi.json")).text
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    fields = {name: set(schema.get("properties", {})) for name, schema in schemas.items()}
    for typed in (PROGRESS, COMPLETE, SYSTEM, {"type", "video_id", "title", "error"}):
        assert any(set(typed) <= known for known in fields.values())


async def test_health_and_metrics_need_no_credential(router: httpx.AsyncClient) -> None:
    for path in ("healthz", "readyz", "metrics"):
        assert (await router.get(f"http://router/{path}", headers={"Authorization": ""})).status_code == 200


async def metric(router: httpx.AsyncClient, name: str) -> dict[str, float]:
    """Return a metric's values by their labels as they are written, without those of a convention."""
    text = (await router.get("http://router/metrics")).text
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    kept = [
        (",".join(label for label in labels.split(",") if "messaging" not in label), value) for labels, value in found
    ]
    return {labels: float(value) for labels, value in kept}


async def test_metrics_count_what_was_published_by_type_and_audience(router: httpx.AsyncClient) -> None:
    await router.post("/notifications", json=SYSTEM)
    await router.post("/messages", json=CUSTOM)
    await router.post("/notifications", json={**COMPLETE, "user_id": 7})
    assert await metric(router, "messaging_client_sent_messages_total") == {
        'audience="admin",type="system_message"': 1,
        'audience="user",type="custom"': 2,
        'audience="admin",type="transcode_complete"': 1,
        'audience="user",type="transcode_complete"': 1,
    }


async def test_metrics_tell_of_batches_and_of_keys_that_come_again(router: httpx.AsyncClient) -> None:
    items = [CUSTOM, {"audience": "all", "message": {"no": "type"}}, CUSTOM]
    for _ in range(2):
        await router.post("/messages/batch", json={"items": items}, headers={"Idempotency-Key": "one"})
    await router.post("/messages", json=CUSTOM, headers={"Idempotency-Key": "one"})
    assert await metric(router, "vsrt_router_known_keys_total") == {'outcome="replayed"': 1, 'outcome="conflict"': 1}
    assert (await metric(router, "vsrt_router_refused_items_total"))['status="422"'] == 2
    assert await metric(router, "vsrt_router_batch_size_sum") == {"": 6}


async def test_metrics_tell_why_callers_were_refused(router: httpx.AsyncClient) -> None:
    for credential in ("", "Bearer wrong", bearer("read")["Authorization"]):
        await router.post("/messages", json=CUSTOM, headers={"Authorization": credential})
    assert await metric(router, "vsrt_auth_failures_total") == {
        'reason="credential missing"': 1,
        'reason="token invalid"': 1,
        'reason="scope missing"': 1,
    }


async def test_metrics_tell_how_calls_ended(router: httpx.AsyncClient) -> None:
    await router.post("/messages", json=CUSTOM)
    await router.post("/messages", json={})
    await router.get("/nothing")
    counts = await metric(router, "http_server_request_duration_seconds_count")
    assert {key: count for key, count in counts.items() if "/metrics" not in key} == {
        'http_request_method="POST",http_response_status_code="202",http_route="/api/v1/messages",url_scheme="http"': 1,
        'http_request_method="POST",http_response_status_code="422",http_route="/api/v1/messages",url_scheme="http"': 1,
        'http_request_method="GET",http_response_status_code="404",http_route="",url_scheme="http"': 1,
    }
