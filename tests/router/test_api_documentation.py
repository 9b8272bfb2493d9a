"""The router's OpenAPI document, health and metrics."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.router.served import CALLS, CUSTOM, PROGRESS, SYSTEM, bearer, metric

COMPLETE = {"type": "transcode_complete", "video_id": 123, "title": "示例视频", "format_type": "av1", "file_size": 1024}


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
