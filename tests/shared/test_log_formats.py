"""A record becomes one line, for machines or for people, and shows nothing that it must not."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared import trace_context
from shared.log_formats import JsonFormatter, Source, TextFormatter
from shared.redaction import Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl-_x"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SOURCE = Source("node", "node-1", "1.2.3")

as_json = JsonFormatter(SOURCE, Redactor())
as_text = TextFormatter(SOURCE, Redactor())


def record(event: str, *args: object, name: str = "node.drain", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, event, args, None)
    vars(made).update(fields)
    return made


def fields_of(event: str, *args: object, **fields: Any) -> dict[str, Any]:
    line = as_json.format(record(event, *args, **fields))
    assert "\n" not in line
    return json.loads(line)


def test_a_line_for_machines_is_one_json_object_with_the_events_fields() -> None:
    made = record("drain begins: %s", "用户", connections=5)
    made.created = 1795475806.9959
    assert json.loads(as_json.format(made)) == {
        "time": "2026-11-23T23:16:46.995Z",
        "level": "warning",
        "logger": "node.drain",
        "event": "drain begins: 用户",
        "service": "node",
        "instance": "node-1",
        "version": "1.2.3",
        "connections": 5,
    }


def test_a_field_cannot_take_the_place_of_what_every_line_has() -> None:
    event = fields_of("system message sent", level="warning!", time=5, service="other")
    assert (event["level"], event["service"]) == ("warning", "node")
    assert event["time"] != 5


def test_what_is_none_is_left_out() -> None:
    assert "origin" not in fields_of("upgrade refused", origin=None)


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31m", "\u2028", "\u202e", "\x85", "\x00", '"', "\\", "\ud800"])
def test_whatever_a_field_holds_a_line_is_one_line_of_valid_json(value: str) -> None:
    line = as_json.format(record("odd", odd=value, **{"nested": [{"x": value}]}))
    line.encode(errors="strict")
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert set(json.loads(line)) >= {"odd", "nested"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"\xff", object(), {1, 2}, ValueError("x"), 10**30])
def test_no_value_breaks_the_json(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(as_json.format(record("odd", odd=value)), parse_constant=refuse)


def test_a_secret_beside_a_quote_leaves_the_json_whole() -> None:
    assert fields_of('GET "/x?token=abc"def')["event"] == 'GET "/x?token=***"def'


def test_a_line_for_people_shows_the_fields_too() -> None:
    line = as_text.format(record("drain begins", connections=5, reason="it is time", odd="a\nb"))
    assert line.endswith('warning node.drain · drain begins connections=5 reason="it is time" odd="a\\nb"')
    assert "\x1b" not in line


def test_a_line_for_people_has_colours_where_they_are_wanted() -> None:
    line = TextFormatter(SOURCE, Redactor(), colour=True).format(record("drain begins", connections=5))
    assert "\x1b[33mwarning\x1b[0m" in line


def test_a_message_cannot_paint_or_fake_a_line() -> None:
    line = as_text.format(record("x\n12:00:00 error   node · faked \x1b[2J"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def raised() -> Any:
    try:
        raise ValueError(f"bad token {JWT} and Bearer opaque-token-1")
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize("formatter", [as_json, as_text])
def test_secrets_in_arguments_fields_and_exceptions_are_taken_out(formatter: logging.Formatter) -> None:
    line = record("GET %s", f"/ws?token={JWT}", url="redis://:hunter22@redis", error=f"bad {JWT}")
    line.exc_info = raised()
    text = formatter.format(line)
    assert JWT.split(".")[1] not in text
    assert "hunter22" not in text
    assert "opaque-token-1" not in text
    assert "ValueError" in text


def test_an_exception_is_a_field_in_the_same_line() -> None:
    line = record("it broke")
    line.exc_info = raised()
    text = as_json.format(line)
    assert "\n" not in text
    assert json.loads(text)["exception"].splitlines()[-1].startswith("ValueError: bad token ***")


def test_a_known_secret_is_taken_out_of_everything() -> None:
    formatter = JsonFormatter(SOURCE, Redactor(["service-key-number-one"]))
    text = formatter.format(record("wrong key %s", "service-key-number-one", tried=["service-key-number-one"]))
    assert "service-key" not in text


def test_uvicorns_paths_have_no_query() -> None:
    event = fields_of('%s - "WebSocket %s" 403', "1.2.3.4", "/api/v1/ws?since=a&odd=secret", name="uvicorn.error")
    assert event["event"] == '1.2.3.4 - "WebSocket /api/v1/ws" 403'


# --- users


def test_users_are_not_named_outside_of_the_audit() -> None:
    event = fields_of("user connected", user="7", stream="u.Nw")
    assert "user" not in event
    assert event["stream"] == "user"
    assert fields_of("events lost for good", stream="admin")["stream"] == "admin"


def test_users_are_named_where_the_settings_allow_it_and_in_the_audit() -> None:
    formatter = JsonFormatter(SOURCE, Redactor(), show_users=True)
    assert json.loads(formatter.format(record("user connected", user="7", stream="u.Nw"))).items() >= {
        ("user", "7"),
        ("stream", "u.Nw"),
    }
    assert fields_of("audit", name="audit", users=["7"], caller="sub:7")["users"] == ["7"]


# --- traces


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """A trace holds to the end of its task, and all these tests are one."""
    yield
    trace_context._current.set("")


def test_a_line_bears_the_trace_that_its_task_continues() -> None:
    trace_context.continued(TRACE)
    event = fields_of("handshake refused")
    assert (event["trace_id"], event["span_id"]) == (TRACE[3:35], TRACE[36:52])


def test_a_trace_that_a_line_names_itself_comes_first() -> None:
    trace_context.continued(TRACE)
    event = fields_of("message heard", trace_id="a" * 32)
    assert event["trace_id"] == "a" * 32
    assert "span_id" not in event, "it would be another trace's"


def test_outside_of_any_request_there_is_no_trace() -> None:
    assert "trace_id" not in fields_of("node up")


def test_a_span_of_opentelemetry_comes_before_the_text() -> None:
    from opentelemetry import trace

    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    trace_context.continued(TRACE)
    with trace.use_span(trace.NonRecordingSpan(context)):
        event = fields_of("handshake refused")
    assert (event["trace_id"], event["span_id"]) == (format(0xABC, "032x"), format(0xDEF, "016x"))
