"""What may be sent to browsers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidMessage
from shared.messages import NODE_TYPES, Message, StateChange, SystemMessage, prepare, stamp

NOW_US = 1760092200_123456  # 2025-10-10T10:30:00Z
PROGRESS = {"type": "transcode_progress", "video_id": 123, "status": "processing", "progress": 45}
COMPLETE = {"type": "transcode_complete", "video_id": 123, "title": "示例视频", "format_type": "av1", "file_size": 1024}
FAILED = {"type": "transcode_failed", "video_id": 123, "title": "示例视频", "error": "FFmpeg exited with code 1"}
SYSTEM = {"type": "system_message", "message": "系统将于10分钟后维护"}


def shown(message: Message) -> dict[str, Any]:
    """What a browser reads, without the id that a node appends."""
    fields: dict[str, Any] = json.loads(message.payload + b"}", parse_constant=_refuse)
    return fields


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def make(fields: dict[str, Any], **more: Any) -> Message:
    return prepare(fields, now_us=NOW_US, **more)


# --- the four typed messages


@pytest.mark.parametrize(
    ("given_fields", "as_shown"),
    [
        (PROGRESS, PROGRESS | {"message": ""}),
        (PROGRESS | {"message": "已完成720p转码 (2/3)"}, PROGRESS | {"message": "已完成720p转码 (2/3)"}),
        (COMPLETE, COMPLETE),
        (FAILED, FAILED),
        (SYSTEM, SYSTEM | {"level": "info"}),
        (SYSTEM | {"level": "warning"}, SYSTEM | {"level": "warning"}),
    ],
)
def test_a_typed_message_has_exactly_its_fields_and_the_routers_time(
    given_fields: dict[str, Any], as_shown: dict[str, Any]
) -> None:
    assert shown(make(given_fields)) == as_shown | {"timestamp": "2025-10-10T10:30:00Z"}


def test_a_typed_messages_fields_come_in_the_order_of_the_specification() -> None:
    jumbled = dict(reversed((PROGRESS | {"message": "x"}).items()))
    assert list(shown(make(jumbled))) == ["type", "video_id", "status", "progress", "message", "timestamp"]


def test_a_timestamp_of_the_producers_is_replaced_by_the_routers() -> None:
    assert shown(make(PROGRESS | {"timestamp": "1999-01-01T00:00:00Z"}))["timestamp"] == "2025-10-10T10:30:00Z"


@pytest.mark.parametrize("progress", [0, 100, 0.5, 99.99])
def test_progress_from_0_to_100_is_kept_as_it_was_written(progress: float) -> None:
    assert shown(make(PROGRESS | {"progress": progress}))["progress"] == progress


@pytest.mark.parametrize("level", ["info", "success", "warning", "error"])
def test_every_level_of_the_specification_is_taken(level: str) -> None:
    assert shown(make(SYSTEM | {"level": level}))["level"] == level


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (PROGRESS | {"video_id": "123"}, "video_id"),
        (PROGRESS | {"video_id": 1.0}, "video_id"),
        (PROGRESS | {"video_id": True}, "video_id"),
        (PROGRESS | {"video_id": None}, "video_id"),
        (PROGRESS | {"video_id": 2**53}, "video_id"),
        (PROGRESS | {"status": ""}, "status"),
        (PROGRESS | {"status": 1}, "status"),
        (PROGRESS | {"progress": -0.01}, "progress"),
        (PROGRESS | {"progress": 100.01}, "progress"),
        (PROGRESS | {"progress": "45"}, "progress"),
        (PROGRESS | {"progress": True}, "progress"),
        (PROGRESS | {"progress": float("nan")}, "progress"),
        (PROGRESS | {"progress": float("inf")}, "progress"),
        (PROGRESS | {"message": None}, "message"),
        (PROGRESS | {"message": 1}, "message"),
        (PROGRESS | {"extra": 1}, "extra"),
        (PROGRESS | {"user_id": 7}, "user_id"),
        ({k: v for k, v in PROGRESS.items() if k != "video_id"}, "video_id"),
        ({k: v for k, v in PROGRESS.items() if k != "status"}, "status"),
        ({k: v for k, v in PROGRESS.items() if k != "progress"}, "progress"),
        (COMPLETE | {"file_size": -1}, "file_size"),
        (COMPLETE | {"file_size": 1.5}, "file_size"),
        (COMPLETE | {"file_size": True}, "file_size"),
        (COMPLETE | {"format_type": ""}, "format_type"),
        ({k: v for k, v in COMPLETE.items() if k != "title"}, "title"),
        (FAILED | {"error": None}, "error"),
        ({k: v for k, v in FAILED.items() if k != "error"}, "error"),
        (SYSTEM | {"level": "fatal"}, "level"),
        (SYSTEM | {"level": None}, "level"),
        (SYSTEM | {"message": ""}, "message"),
        (SYSTEM | {"title": "x"}, "title"),
    ],
)
def test_a_typed_message_that_breaks_a_rule_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        make(fields)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


# --- any message


@pytest.mark.parametrize("kind", sorted(NODE_TYPES))
def test_the_nodes_own_types_are_refused(kind: str) -> None:
    with pytest.raises(InvalidMessage, match="nodes' own") as caught:
        make({"type": kind})
    assert caught.value.field == "type"


def test_the_nodes_own_types_are_those_of_the_specification() -> None:
    assert {"connected", "stats", "error", "reconnect", "refreshed", "resync", "inbox"} == NODE_TYPES


@pytest.mark.parametrize("fields", [{}, {"type": ""}, {"type": None}, {"type": 1}, {"type": ["a"]}, {"type": {}}])
def test_a_message_without_a_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage) as caught:
        make(fields)
    assert caught.value.field == "type"


@pytest.mark.parametrize("fields", [{"type": "custom"}, PROGRESS, SYSTEM])
@pytest.mark.parametrize("own_id", ["x", None, 1])
def test_a_message_may_not_bring_an_id_of_its_own(fields: dict[str, Any], own_id: Any) -> None:
    with pytest.raises(InvalidMessage) as caught:
        make(fields | {"id": own_id})
    assert caught.value.field == "id"


def test_an_id_further_inside_is_the_producers_business() -> None:
    assert shown(make({"type": "order", "order": {"id": 5}})) == {"type": "order", "order": {"id": 5}}


def test_a_custom_message_arrives_as_it_was_written_without_a_timestamp() -> None:
    fields = {"type": "order_paid", "order": 10482, "nested": {"a": [1, None, True, 1.5]}, "timestamp": "mine"}
    message = make(fields)
    assert shown(message) == fields
    assert list(shown(message)) == list(fields)
    assert (message.is_event, message.state) == (True, None)


@pytest.mark.parametrize("text", ["系统将于10分钟后维护", "Grüße", "🎬👩‍👩‍👧", "שלום", "a\u2028b", "﷽", "\u0000"])
def test_text_of_any_language_travels_byte_for_byte(text: str) -> None:
    assert shown(make(SYSTEM | {"message": text}))["message"] == text
    if text.isprintable():
        assert text.encode() in make({"type": "custom", "text": text}).payload


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key not in {"id", "type", "expires_at"}), JSON, max_size=4))
def test_any_json_object_survives_the_way(fields: dict[str, Any]) -> None:
    assert shown(make({"type": "custom", **fields})) == {"type": "custom", **fields}


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        make({"type": "custom", "text": "\ud800"})


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_cannot_say_is_refused_and_named(number: float) -> None:
    with pytest.raises(InvalidMessage, match=r"^a\.1\.b: "):
        prepare({"type": "custom", "a": [0, {"b": number}]}, now_us=0)


def test_the_payload_lacks_exactly_its_closing_brace() -> None:
    payload = make({"type": "custom", "a": {"b": {}}}).payload
    assert json.loads(payload + b',"id":"admin.1-1"}') == {"type": "custom", "a": {"b": {}}, "id": "admin.1-1"}


# --- what a message does to the state of its video


@pytest.mark.parametrize(
    ("fields", "sent_at", "state"),
    [
        (PROGRESS, 5, StateChange(123, 5, "a")),
        (PROGRESS, 0, StateChange(123, 0, "a")),
        (PROGRESS, None, StateChange(123, NOW_US, "l")),
        (PROGRESS | {"progress": 0}, None, StateChange(123, NOW_US, "a")),
        (COMPLETE, 5, StateChange(123, 5, "f")),
        (COMPLETE, None, StateChange(123, NOW_US, "f")),
        (FAILED, 5, StateChange(123, 5, "f")),
        (SYSTEM, None, None),
    ],
)
def test_transcode_messages_change_the_state_of_their_video(
    fields: dict[str, Any], sent_at: int | None, state: StateChange | None
) -> None:
    assert make(fields, sent_at=sent_at).state == state


@pytest.mark.parametrize(("fields", "is_event"), [(PROGRESS, False), (COMPLETE, True), (FAILED, True), (SYSTEM, True)])
def test_only_progress_is_state_and_no_event(fields: dict[str, Any], is_event: bool) -> None:
    assert make(fields).is_event is is_event


# --- when an event ends


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (None, None),
        ("2026-01-31T12:00:00Z", 1769860800000),
        ("2026-01-31T12:00:00.250Z", 1769860800250),
        ("2026-01-31T13:00:00+01:00", 1769860800000),
        ("2026-01-31T12:00:00", 1769860800000),
        (1769860800, 1769860800000),
        (1769860800.5, 1769860800500),
    ],
)
def test_the_end_of_an_event_may_be_written_as_time_or_as_seconds(value: Any, ms: int | None) -> None:
    assert make({"type": "custom"}, expires_at=value).expires_at == ms
    assert make(SYSTEM, expires_at=value).expires_at == ms


def test_a_custom_message_may_carry_its_end_itself() -> None:
    assert make({"type": "custom", "expires_at": 1769860800}).expires_at == 1769860800000


def test_the_end_given_beside_a_message_counts_before_the_one_in_it() -> None:
    assert make({"type": "custom", "expires_at": 1}, expires_at=1769860800).expires_at == 1769860800000


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "2026-13-01T00:00:00Z",
        "1969-12-31",
        "0001-01-01T00:00:00+14:00",
        True,
        False,
        0,
        -1,
        [],
        {},
        float("nan"),
        float("inf"),
        10**20,
    ],
)
def test_an_end_that_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(InvalidMessage) as caught:
        make({"type": "custom"}, expires_at=value)
    assert caught.value.field == "expires_at"


def test_stamping_twice_with_the_same_time_gives_the_same_bytes() -> None:
    message = SystemMessage(message="x")
    assert stamp(message, now_us=NOW_US) == stamp(message, now_us=NOW_US)
