import io
import json
from datetime import datetime

import pytest
from rich.console import Console
from videosite_realtime_cli import render, terminal
from videosite_realtime_cli.client import Frame

NOON = datetime(2025, 10, 10, 12, 0, 0).astimezone()


def frame_of(**message):
    return Frame(json.dumps(message, ensure_ascii=False), message)


def line(**message):
    return render.line(frame_of(**message), NOON).plain


def test_progress_has_a_bar_its_percentage_and_its_message():
    text = line(
        type="transcode_progress", video_id=123, status="processing", progress=45, message="已完成720p转码 (2/3)"
    )
    assert text == "12:00:00  progress   video 123  ━━━━━━━━━───────────  45 %  已完成720p转码 (2/3)"


@pytest.mark.parametrize(("percent", "full"), [(0, 0), (100, 20), (-5, 0), (250, 20), (45.5, 9)])
def test_a_bar_stays_a_bar(percent, full):
    assert render.bar(percent).plain == "━" * full + "─" * (20 - full)


def test_an_unusual_status_is_told():
    assert "  queued" in line(type="transcode_progress", video_id=1, status="queued", progress=0)


def test_a_complete_transcode_tells_title_format_and_size():
    text = line(type="transcode_complete", video_id=1, title="示例视频", format_type="av1", file_size=1024000000)
    assert text.endswith("video 1  示例视频  av1, 1.0 GB")


def test_a_failed_transcode_tells_why():
    assert line(type="transcode_failed", video_id=1, title="T", error="exited with code 1").endswith(
        "failed     video 1  T  exited with code 1"
    )


def test_a_system_message_has_the_colour_of_its_level():
    warning = render.line(frame_of(type="system_message", message="x", level="warning"), NOON)
    error = render.line(frame_of(type="system_message", message="x", level="error"), NOON)
    assert [span.style for span in warning.spans] != [span.style for span in error.spans]


def test_a_message_shows_the_time_it_was_sent():
    sent = datetime.fromisoformat("2025-10-10T10:30:00Z").astimezone()
    text = line(type="system_message", message="x", timestamp="2025-10-10T10:30:00Z")
    assert text.startswith(f"{sent:%H:%M:%S}  ")


@pytest.mark.parametrize("timestamp", ["soon", 7, None, "0001-01-01T00:00:00Z"])
def test_a_time_that_is_none_is_replaced_by_the_arrival(timestamp):
    assert "system" in line(type="system_message", message="x", timestamp=timestamp)


def test_connected_tells_who_how_many_and_what_was_missed():
    text = line(
        type="connected",
        message="管理员 admin 已连接",
        recovered=True,
        connection_stats={"total_users": 50, "total_connections": 70},
    )
    assert text.endswith("管理员 admin 已连接  50 users on 70 connections  everything missed follows")


def test_a_custom_message_shows_its_fields():
    assert line(type="order_paid", order=10482, items=["a"], id="x").endswith('order_paid  order=10482  items=["a"]')


@pytest.mark.parametrize("text", ["", "nonsense", "[1]"])
def test_what_is_no_message_is_shown_as_it_came(text):
    assert render.line(Frame(text, {}), NOON).plain.endswith(f"frame      {text}")


@pytest.mark.parametrize(
    "message",
    [
        {"type": kind, **fields}
        for kind in ("transcode_progress", "transcode_complete", "connected", "reconnect", "resync", "system_message")
        for fields in (
            {},
            {"video_id": [], "progress": "x", "file_size": "y", "message": {}, "recovered": 7, "level": []},
        )
    ],
)
def test_messages_with_missing_or_odd_fields_are_still_lines(message):
    assert "\n" not in line(**message)


def test_somebody_elses_text_cannot_move_the_cursor_fake_a_line_or_turn_the_rest_around():
    text = line(type="\x1b[2J", message="a\x1b[31mb\nc\rd\x9b31m\u202ee")
    assert not set(text) & set("\x1b\n\r\x9b\u202e")
    assert "\\x1b[31mb\\nc\\rd\\x9b31m\\u202ee" in text


def test_writing_in_any_language_stays_as_it_is():
    for text in ("已完成720p转码", "می‌خواهم", "👩‍💻", "čeština"):
        assert terminal.legible(text) == text


def test_markup_in_a_message_is_text():
    output = io.StringIO()
    console = Console(file=output, markup=False, highlight=False)
    render.Lines(console).frame(frame_of(type="system_message", message="[bold]x[/bold] :smile:"))
    assert "[bold]x[/bold] :smile:" in output.getvalue()


def test_long_lines_are_whole_unless_they_are_to_be_cropped():
    output = io.StringIO()
    message = frame_of(type="system_message", message="x" * 500)
    render.Lines(Console(file=output, width=80)).frame(message)
    assert "x" * 500 in output.getvalue()
    output.truncate(output.seek(0))
    render.Lines(Console(file=output, width=80), crop=True).frame(message)
    assert output.getvalue().count("\n") == 1
    assert len(output.getvalue()) <= 81


def test_raw_writes_the_frames_as_they_came_one_per_line():
    output, errors = io.StringIO(), io.StringIO()
    raw = render.Raw(Console(file=errors), output)
    raw.frame(Frame('{"type":"x","n":1.0}', {"type": "x", "n": 1.0}))
    raw.frame(Frame('{"type":\n"维护"}', {"type": "维护"}))
    raw.notice("connection lost")
    assert output.getvalue() == '{"type":"x","n":1.0}\n{"type": "维护"}\n'
    assert "connection lost" in errors.getvalue()
