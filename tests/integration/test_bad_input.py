"""What the router refuses, and how it says so: 422 names the field, 413 is too large, and nothing is delivered."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster

PROGRESS = {"type": "transcode_progress", "video_id": 12, "status": "processing", "progress": 45}
COMPLETE = {"type": "transcode_complete", "video_id": 12, "title": "示例", "format_type": "av1", "file_size": 1}
FAILED = {"type": "transcode_failed", "video_id": 12, "title": "示例", "error": "e"}
SYSTEM = {"type": "system_message", "message": "维护"}


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def assert_names(answer: httpx.Response, field: str) -> None:
    assert answer.status_code == 422, answer.text
    named = [".".join(map(str, error["loc"])) for error in answer.json()["detail"]]
    assert any(name == f"body.{field}" or name.startswith(f"body.{field}.") for name in named), named


BAD_NOTIFICATIONS = [
    ("progress", PROGRESS | {"progress": -1}),
    ("progress", PROGRESS | {"progress": 101}),
    ("progress", PROGRESS | {"progress": "abc"}),
    ("progress", PROGRESS | {"progress": "45"}),
    ("progress", PROGRESS | {"progress": True}),
    ("progress", PROGRESS | {"progress": None}),
    ("progress", without(PROGRESS, "progress")),
    ("status", PROGRESS | {"status": ""}),
    ("status", PROGRESS | {"status": 5}),
    ("status", without(PROGRESS, "status")),
    ("message", PROGRESS | {"message": None}),
    ("video_id", PROGRESS | {"video_id": "12"}),
    ("video_id", PROGRESS | {"video_id": 12.5}),
    ("video_id", PROGRESS | {"video_id": 2**53}),
    ("video_id", PROGRESS | {"video_id": True}),
    ("video_id", without(PROGRESS, "video_id")),
    ("colour", PROGRESS | {"colour": "red"}),
    ("id", PROGRESS | {"id": "admin.1-1"}),
    ("user_id", PROGRESS | {"user_id": "no spaces"}),
    ("user_id", PROGRESS | {"user_id": ""}),
    ("user_id", PROGRESS | {"user_id": 1.5}),
    ("user_id", PROGRESS | {"user_id": "x" * 129}),
    ("sent_at", PROGRESS | {"sent_at": -1}),
    ("sent_at", PROGRESS | {"sent_at": "now"}),
    ("expires_at", COMPLETE | {"expires_at": "tomorrow"}),
    ("expires_at", COMPLETE | {"expires_at": -1}),
    ("title", without(COMPLETE, "title")),
    ("title", COMPLETE | {"title": None}),
    ("format_type", COMPLETE | {"format_type": ""}),
    ("file_size", COMPLETE | {"file_size": -1}),
    ("file_size", COMPLETE | {"file_size": 1.5}),
    ("file_size", without(COMPLETE, "file_size")),
    ("error", without(FAILED, "error")),
    ("message", without(SYSTEM, "message")),
    ("message", SYSTEM | {"message": ""}),
    ("level", SYSTEM | {"level": "fatal"}),
    ("target", SYSTEM | {"target": "everybody"}),
    ("target", SYSTEM | {"target": {"users": []}}),
    ("target.users", SYSTEM | {"target": {"users": ["no spaces"]}}),
    ("user_id", SYSTEM | {"user_id": "7"}),
]


@pytest.mark.parametrize(("field", "body"), BAD_NOTIFICATIONS)
async def test_a_bad_notification_is_422_and_the_field_is_named(
    cluster: Cluster, field: str, body: dict[str, Any]
) -> None:
    assert_names(await cluster.router.post("notifications", body), field)


@pytest.mark.parametrize("kind", ["unknown", "", None, 5, "connected", "system_messages"])
async def test_a_type_that_is_none_of_the_four_is_422(cluster: Cluster, kind: Any) -> None:
    answer = await cluster.router.post("notifications", {"type": kind, "message": "x"})
    assert answer.status_code == 422
    assert "type" in answer.text


BAD_MESSAGES = [
    ("message.type", {"message": {"text": "no type"}}),
    ("message.type", {"message": {"type": ""}}),
    ("message.type", {"message": {"type": 7}}),
    *(("message.type", {"message": {"type": t}}) for t in ("connected", "stats", "error", "reconnect")),
    *(("message.type", {"message": {"type": t}}) for t in ("refreshed", "resync")),
    ("message.id", {"message": {"type": "custom", "id": "u.Nw.1-1"}}),
    ("message.id", {"message": {"type": "custom", "id": None}}),
    ("message.progress", {"message": PROGRESS | {"progress": 101}}),
    ("message.video_id", {"message": PROGRESS | {"video_id": "12"}}),
    ("message.colour", {"message": SYSTEM | {"colour": "red"}}),
    ("message.expires_at", {"message": {"type": "custom", "expires_at": "tomorrow"}}),
    ("expires_at", {"message": {"type": "custom", "expires_at": 4102444800}, "expires_at": "tomorrow"}),
    ("expires_at", {"message": {"type": "custom"}, "expires_at": -1}),
    ("expires_at", {"message": COMPLETE, "expires_at": "tomorrow"}),
    ("message", {"message": "text"}),
    ("message", {"message": ["type"]}),
    ("message", {}),
    ("audience", {"audience": None, "message": {"type": "custom"}}),
    ("audience", {"audience": "everybody", "message": {"type": "custom"}}),
    ("audience", {"audience": {"users": []}, "message": {"type": "custom"}}),
    ("audience", {"audience": {"user": [7]}, "message": {"type": "custom"}}),
    ("audience", {"audience": {"users": 7}, "message": {"type": "custom"}}),
    ("audience", {"audience": [7], "message": {"type": "custom"}}),
    ("audience.users", {"audience": {"users": [7, None]}, "message": {"type": "custom"}}),
    ("audience.users", {"audience": {"users": [True]}, "message": {"type": "custom"}}),
    ("audience.users", {"audience": {"users": list(range(1001))}, "message": {"type": "custom"}}),
    ("urgent", {"message": {"type": "custom"}, "urgent": True}),
]


@pytest.mark.parametrize(("field", "body"), BAD_MESSAGES)
async def test_a_bad_message_is_422_and_the_field_is_named(cluster: Cluster, field: str, body: dict[str, Any]) -> None:
    assert_names(await cluster.router.post("messages", {"audience": "all"} | body), field)


async def test_what_was_refused_is_heard_by_nobody(cluster: Cluster) -> None:
    async with cluster.user(12) as browser, cluster.admin() as page:
        for _, body in BAD_MESSAGES:
            await cluster.router.post("messages", {"audience": "all"} | body)
        await cluster.nobody_hears(browser, page)


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"{", b"\xff\xfe", b'{"type": NaN}', b"null", b"[]", b'"text"', b"5", b'{"a":"\xed\xa0\x80"}'],
)
@pytest.mark.parametrize("path", ["messages", "notifications", "messages/batch", "notifications/batch"])
async def test_a_body_that_is_no_json_object_is_422(cluster: Cluster, path: str, body: bytes) -> None:
    answer = await cluster.router.post(path, content=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (gzip.compress(b'{"type":"x"}'), "it is compressed"),
        (b'\xef\xbb\xbf{"type":"x"}', "it begins with a byte order mark"),
        ('{"type":"x"}'.encode("utf-16"), "it is UTF-16"),
    ],
    ids=["gzip", "UTF-8 with a mark", "UTF-16"],
)
async def test_a_body_that_looks_well_to_its_sender_is_called_what_it_is(
    cluster: Cluster, body: bytes, what: str
) -> None:
    for path in ("messages", "notifications/batch"):
        answer = await cluster.router.post(path, content=body)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"] == f"cannot be read as JSON in UTF-8: {what}"


async def test_a_slip_in_a_parameter_ends_no_connection_and_leaves_nobody_unblocked(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        answer = await cluster.router.delete(f"users/{user}/connections?block_second=60")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", "block_second"]
        await cluster.nobody_hears(browser)


async def test_a_final_slash_is_another_path_and_leads_nowhere(cluster: Cluster) -> None:
    assert (await cluster.router.post("messages/", {})).status_code == 404
    assert (await cluster.router.get("stats/")).status_code == 404
    assert (await cluster.node.get("/api/v1/ws/stats/")).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_whoever_watches_may_ask_for_the_head_alone(cluster: Cluster, path: str) -> None:
    for service in (cluster.node, cluster.router):
        async with service.http(f"http://127.0.0.1:{service.health_port}") as http:
            answer = await http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_a_lone_surrogate_is_no_text(cluster: Cluster) -> None:
    body = b'{"audience":"all","message":{"type":"custom","text":"\\ud800"}}'
    assert (await cluster.router.post("messages", content=body)).status_code == 422


async def test_deep_nesting_hurts_nobody(cluster: Cluster) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"audience":"all","message":{"type":"custom","deep":' + deep + b"}}"
    assert (await cluster.router.post("messages", content=body)).status_code == 422
    await cluster.router.send("admin", {"type": "still_here"})


async def test_a_body_of_10_mb_is_413(cluster: Cluster) -> None:
    body = json.dumps({"audience": "all", "message": {"type": "custom", "text": "x" * 10_000_000}}).encode()
    assert (await cluster.router.post("messages", content=body)).status_code == 413


async def test_a_body_that_does_not_say_how_large_it_is_is_413_too(cluster: Cluster) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    assert (await cluster.router.post("messages", content=endless())).status_code == 413


async def test_a_message_over_64_kib_is_413_and_one_just_below_arrives(cluster: Cluster) -> None:
    user = cluster.number()
    frame = len(json.dumps({"type": "custom", "text": ""}, separators=(",", ":")))
    async with cluster.user(user) as browser:
        body = {"audience": {"users": [user]}, "message": {"type": "custom", "text": "x" * (64 * 1024 + 1 - frame)}}
        assert (await cluster.router.post("messages", body)).status_code == 413
        body["message"]["text"] = "x" * (64 * 1024 - frame)  # type: ignore[index]
        assert (await cluster.router.post("messages", body)).status_code == 202
        assert (await browser.receive("custom"))["text"] == body["message"]["text"]  # type: ignore[index]
        await cluster.nobody_hears(browser)


async def test_the_size_of_a_message_is_counted_in_bytes_and_not_in_characters(cluster: Cluster) -> None:
    body = {"audience": "admin", "message": {"type": "custom", "text": "转" * 22_000}}
    assert (await cluster.router.post("messages", body)).status_code == 413


async def test_a_user_nobody_knows_is_no_mistake(cluster: Cluster) -> None:
    user = cluster.number()
    answer = await cluster.router.send({"users": [user]}, {"type": "custom"})
    assert answer["online"] is False
    assert answer["nodes"] == 0
    assert answer["id"] == answer["ids"][f"user:{user}"]
    assert len(answer["trace_id"]) == 32


async def test_state_has_no_id(cluster: Cluster) -> None:
    answer = await cluster.router.notify(**{"kind": "transcode_progress"}, **without(PROGRESS, "type"))
    assert answer["id"] is None
    assert answer["ids"] == {}


async def test_the_callers_trace_is_carried_on(cluster: Cluster) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for given, expected in ((f"00-{trace}-00f067aa0ba902b7-01", trace), ("garbage", None)):
        answer = await cluster.router.post(
            "messages", {"audience": "admin", "message": {"type": "x"}}, headers={"traceparent": given}
        )
        assert answer.status_code == 202
        assert (answer.json()["trace_id"] == trace) is (expected == trace)


async def test_other_methods_and_paths_are_refused(cluster: Cluster) -> None:
    assert (await cluster.router.get("messages")).status_code == 405
    assert (await cluster.router.post("nothing", {})).status_code == 404
