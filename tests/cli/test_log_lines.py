"""What nodes and routers log, as `up` shows it."""

import logging
from io import StringIO

import pytest
from rich.console import Console
from videosite_realtime_cli.cluster.follow import Follower, Printer
from videosite_realtime_cli.cluster.log_line import LogLine

from shared.log_formats import JsonFormatter, Source, TextFormatter
from shared.redaction import Redactor

SOURCE = Source("node", "node-1", "1.2.3")
TEXT, JSON = TextFormatter(SOURCE, Redactor()), JsonFormatter(SOURCE, Redactor())


def line(event, level="INFO", formatter=TEXT, **fields):
    return formatter.format(logging.makeLogRecord({"name": "node.drain", "levelname": level, "msg": event, **fields}))


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
@pytest.mark.parametrize("formatter", [TEXT, JSON], ids=["text", "json"])
def test_a_line_of_a_service_is_taken_apart(formatter, level):
    read = LogLine.read(line("lease lost; a new id", level, formatter, connections=5, reason="it is time"))
    assert (read.level, read.logger, read.event) == (level.lower(), "node.drain", "lease lost; a new id")
    assert read.fields.startswith(" connections=5 reason=")


def test_a_line_without_fields_is_taken_apart():
    assert LogLine.read(line("node stopped")).event == "node stopped"


@pytest.mark.parametrize("other", ["", "12345:M 25 Nov 2026 * Ready", "  File x, line 1", "{", "[]", '{"a":1}'])
def test_a_line_of_somebody_else_is_left_alone(other):
    assert LogLine.read(other) is None


def printed(tmp_path, *lines, everything):
    out = StringIO()
    (tmp_path / "node-1.log").write_text("".join(f"{each}\n" for each in lines))
    console = Console(file=out, width=40, highlight=False, markup=False)
    Printer(Follower(tmp_path, lambda: ["node-1"]), console, everything=everything)._print()
    return out.getvalue().splitlines()


def test_everything_is_shown_when_it_is_asked_for(tmp_path):
    lines = [line("node up", port=8000), "something else", line("deaf", "ERROR")]
    shown = printed(tmp_path, *lines, everything=True)
    assert [each.removeprefix("node-1   │ ") for each in shown] == lines


def test_otherwise_warnings_and_worse_are_with_what_belongs_to_them(tmp_path):
    shown = printed(
        tmp_path,
        "before anything",
        line("node up"),
        line("it broke", "ERROR"),
        "ValueError: x",
        line("node stopped"),
        "not shown",
        everything=False,
    )
    assert [each.partition(" · ")[2] or each.partition("│ ")[2] for each in shown] == ["it broke", "ValueError: x"]


def test_a_line_cannot_move_the_cursor(tmp_path):
    (shown,) = printed(tmp_path, "12:00:00.000 error   x · a\x1b[2J b=\x1b[31m", everything=True)
    assert "\x1b" not in shown
