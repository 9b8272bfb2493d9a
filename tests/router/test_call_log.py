"""What a router tells of publishes, and of which it says nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from router.call_log import PROGRESS_INTERVAL, CallLog
from router.callers import Caller
from router.lean_route import Call
from router.operations import Operation, Origin
from router.order import Order, Outcome, Target
from shared.messages import prepare

CALL = Call("/api/v1/messages", {b"x-forwarded-for": b"203.0.113.9"}, b"", ("10.0.0.1", 40000))
CALLER = Caller("key:1", frozenset({"publish"}), "key:3f2a9b1c")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROGRESS = {"type": "transcode_progress", "video_id": 1, "status": "processing", "progress": 45}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Return the lines of a level and above since the last look: event and fields."""
    caplog.set_level(logging.INFO)

    def look() -> list[tuple[str, dict[str, Any]]]:
        lines = [(record.getMessage(), vars(record)) for record in caplog.records]
        caplog.clear()
        return lines

    return look


def target(stream: str) -> Target:
    return Target("1", stream, stream.removeprefix("u."), "", "", stream, "" if stream.startswith("u.") else stream)


def publish(log: CallLog, message: dict[str, Any], *streams: str) -> None:
    order = Order(
        prepare(message, now_us=1),
        [target(stream) for stream in streams],
        Operation("key:1", "op-1", "0", explicit=False),
        Origin(TRACE, 1),
    )
    log.published(CALL, CALLER, order, Outcome({streams[0]: f"{streams[0]}.1-1"}, 2, online=True))


@pytest.mark.parametrize("stream", ["u.Nw", "admin"])
def test_a_custom_message_to_users_or_admins_is_no_news(said: Any, stream: str) -> None:
    publish(CallLog(), {"type": "order_paid"}, stream)
    assert said() == []


def test_at_debug_it_is_told_of_and_its_id_only_if_it_names_no_user(said: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    log = CallLog()
    publish(log, {"type": "order_paid"}, "u.Nw", "u.OA")
    publish(log, {"type": "order_paid"}, "admin")
    (event, users), (_, admins) = said()
    assert event == "message sent"
    assert (users["audience"], users["user_count"], users["id"]) == ("users", 2, None)
    assert (admins["audience"], admins["user_count"], admins["id"]) == ("admin", None, "admin.1-1")


def test_progress_is_told_of_once_in_a_while_with_a_count(said: Any) -> None:
    clock = Clock()
    log = CallLog(clock)
    for progress in range(50):
        publish(log, {**PROGRESS, "progress": progress}, "admin", "u.Nw")
    ((event, first),) = said()
    assert (event, first["progress"], first["count"], first["owner"]) == ("progress sent", 0, 1, True)
    clock.now += PROGRESS_INTERVAL
    publish(log, {**PROGRESS, "progress": 50}, "admin")
    ((_, second),) = said()
    assert (second["progress"], second["count"], second["owner"]) == (50, 50, None)
    assert (second["video_id"], second["status"], second["trace_id"]) == (1, "processing", TRACE[3:35])


@pytest.mark.parametrize(
    ("message", "event", "fields"),
    [
        (
            {"type": "transcode_complete", "video_id": 1, "title": "secret", "format_type": "av1", "file_size": 1},
            "completion sent",
            {"video_id": 1, "format_type": "av1"},
        ),
        ({"type": "transcode_failed", "video_id": 1, "title": "t", "error": "secret"}, "failure sent", {"video_id": 1}),
        (
            {"type": "system_message", "message": "secret", "level": "error"},
            "system message sent",
            {"severity": "error"},
        ),
    ],
)
def test_what_operators_know_is_a_line_each_without_its_text(
    said: Any, message: dict[str, Any], event: str, fields: dict[str, Any]
) -> None:
    publish(CallLog(), message, "admin")
    told, line = said()[0]
    assert told == event
    assert line.items() >= fields.items()
    assert "secret" not in str(line)


def test_a_broadcast_is_told_of_and_audited(said: Any) -> None:
    publish(CallLog(), {"type": "x" * 100}, "all")
    (event, line), (name, audit) = said()
    assert (event, line["message_type"]) == ("broadcast sent", "x" * 64)
    assert name == "audit"
    assert (audit["name"], audit["levelno"]) == ("audit", logging.INFO)
    assert (
        audit.items()
        >= {
            "action": "broadcast",
            "caller": "key:3f2a9b1c",
            "address": "10.0.0.1",
            "forwarded_for": "203.0.113.9",
            "audience": "all",
            "id": "all.1-1",
        }.items()
    )
