"""`videosite-realtime trace`: a message's way, shown at the terminal."""

import json

import pytest
from opentelemetry import trace
from videosite_realtime_cli import local_file
from videosite_realtime_cli.local_file import LocalCluster
from videosite_realtime_cli.traces.hops import percentile
from videosite_realtime_cli.traces.span import Span, from_json

from tests.cli.local_traces import message, trace_id

# --- what is shown


def test_a_trace_is_a_waterfall_of_its_hops(command, span, local):
    found = message(span)
    shown = command("trace", found)
    assert shown.exit_code == 0, shown.output
    head, _, *lines = shown.output.splitlines()
    assert head.startswith(f"trace {found}")
    assert "5 spans of 4 processes, 9.00 ms in all" in head
    rows = [line for line in lines if line.startswith(("demo", "router", "node"))]
    assert [row.split("  ")[0] for row in rows] == ["demo", "router-1", "router-1", "node-1", "node-2"]
    assert "└─ POST /api/v1/notifications" in rows[1]
    assert "├─ process admin" in rows[3]
    assert "└─ process admin" in rows[4]
    assert [word.strip() for word in rows[1].split("  ") if word.strip().endswith("ms")] == ["1.00 ms", "7.00 ms"]
    assert rows[0].count("━") > rows[1].count("━") > rows[2].count("━") > rows[3].count("━") > 0
    assert rows[0].index("━") < rows[1].index("━") < rows[2].index("━") < rows[3].index("━")
    assert "transcode_complete · video 123" in shown.output
    assert "2 socket(s) written" in shown.output
    assert "failed" not in shown.output, "what did not happen is not told"
    assert "linked" not in shown.output, "a link to the parent is shown as the parent"


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_narrow_terminal_cuts_names_short_and_never_times_or_bars(command, span, local, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = command("trace", message(span, vsrt__endpoint="an endpoint of which there is a lot to be told " * 3)).output
    assert max(map(len, shown.splitlines()[1:])) <= columns
    rows = [line for line in shown.splitlines() if line.startswith(("demo", "router", "node"))]
    assert len(rows) == 5
    for row, takes in zip(rows, ("9.00", "7.00", "5.00", "0.50", "0.50"), strict=True):
        assert f"{takes} ms" in row
        assert "━" in row


def test_a_process_that_nobody_named_is_called_by_its_service():
    made = Span("a", "b", "", "send", "producer", 0, 1, "transcoder", "068411b0-62a4-4119-80e3-0123456789ab")
    assert made.process == "transcoder"


def test_an_id_may_be_cut_short(command, span, local):
    found = message(span)
    assert found in command("trace", found[:6].upper()).output


def test_last_is_the_newest_message_and_no_handshake(command, span, local):
    message(span, begins=0)
    newest = message(span, begins=50)
    message(span, begins=20)
    span("node-1", "connect", 90, 1, kind="SERVER")
    assert newest in command("trace", "last").output
    assert newest in command("trace").output


def test_links_to_elsewhere_are_told(command, span, local):
    first = span("router-1", "send admin", 0, 1, kind="PRODUCER")
    again = span("router-1", "send admin", 5, 1, kind="PRODUCER", links=[first])
    assert f"linked to {trace_id(first)[:8]}" in command("trace", trace_id(again)).output


def test_a_long_trace_is_cut_unless_all_is_asked_for(command, span, local):
    job = span("worker", "job", 0, 900)
    for step in range(80):
        span("worker", f"step {step}", step, 1, parent=job)
    assert "21 more" in (short := command("trace", trace_id(job)).output)
    assert "step 79" not in short
    assert "step 79" in command("trace", trace_id(job), "--all").output


def test_a_trace_without_its_beginning_is_shown_from_where_it_begins(command, span, local):
    elsewhere = trace.NonRecordingSpan(trace.SpanContext(1 << 100, 77, is_remote=True, trace_flags=trace.TraceFlags(1)))
    span("router-1", "POST /api/v1/messages", 0, 3, parent=elsewhere, kind="SERVER")
    shown = command("trace", f"{1 << 100:032x}").output
    assert "1 span of 1 process" in shown
    assert "POST /api/v1/messages" in shown


def test_what_somebody_wrote_moves_no_cursor(command, span, local):
    evil = span("rou\x1b[2Jter", "na\nme\x1b]0;x\x07", 0, 1, error__type="\x1b[31m")
    shown = command("trace", trace_id(evil)).output
    assert "\x1b" not in shown
    assert "na\\nme" in shown


def test_a_list_tells_when_what_and_how_long(command, span, local):
    found = message(span)
    span("node-1", "connect", 90, 1, kind="SERVER", failed=True)
    lines = command("trace", "list").output.splitlines()
    assert len(lines) == 3
    assert "connect" in lines[1]
    assert found in lines[2]
    assert "send notifications" in lines[2]
    assert lines[2].endswith("9.00 ms")
    assert len(command("trace", "list", "--limit", "1").output.splitlines()) == 2


def test_hops_add_up(command, span, local):
    for begins in (0, 100, 200):
        message(span, begins)
    rows = {line.split()[0]: line.split()[1:] for line in command("trace", "hops").output.splitlines()[1:]}
    assert rows["call"] == ["6", "1.00", "ms", "1.00", "ms"]
    assert rows["accept"] == ["6", "1.00", "ms", "1.00", "ms"]
    assert rows["publish"] == ["6", "2.00", "ms", "3.00", "ms"]
    assert rows["deliver"] == ["6", "0.50", "ms", "0.50", "ms"]
    assert rows["total"] == ["6", "4.50", "ms", "5.50", "ms"]
    assert "display" not in rows


def test_json_is_the_spans(command, span, local):
    found = message(span)
    spans = [from_json(each) for each in json.loads(command("trace", found, "--json-output").output)]
    assert {each.trace_id for each in spans} == {found}
    assert len(spans) == 5


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (0.25, 1), (0.0, 1), (1.0, 4)])
def test_a_percentile_is_a_value_that_was_there(share, value):
    assert percentile([4, 2, 1, 3], share) == value


# --- what cannot be shown


def test_without_a_local_cluster_it_says_how_to_start_one(command):
    refused = command("trace", "last")
    assert refused.exit_code == 1
    assert "videosite-realtime up" in refused.output


def test_a_cluster_whose_traces_go_elsewhere_says_so(command, home):
    cluster = LocalCluster("http://n", "http://r", "s", "HS256", "k", "redis://", {})
    with local_file.published(cluster, home / "local.json"):
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in command("trace", "last").output


def test_a_receiver_that_is_gone_is_named(command, home):
    cluster = LocalCluster("http://n", "http://r", "s", "HS256", "k", "redis://", {}, traces_url="http://127.0.0.1:1")
    with local_file.published(cluster, home / "local.json"):
        gone = command("trace", "last")
    assert gone.exit_code == 1
    assert "http://127.0.0.1:1 does not answer" in gone.output


@pytest.mark.parametrize("which", ["last", "hops"])
def test_before_the_first_message_there_is_nothing_to_show(command, local, which):
    refused = command("trace", which, "--wait", "0")
    assert refused.exit_code == 1
    assert "yet" in refused.output


def test_an_id_that_does_not_come_is_told_with_what_it_may_be(command, span, local):
    message(span)
    refused = command("trace", "0123456789abcdef", "--wait", "0")
    assert refused.exit_code == 1
    assert "not sampled" in refused.output


@pytest.mark.parametrize("which", ["lats", "", "x" * 32, "a" * 33, "../traces"])
def test_what_is_no_id_is_refused(command, local, which):
    refused = command("trace", which)
    assert refused.exit_code == 1
    assert "not the id of a trace" in refused.output


def test_an_id_that_fits_several_asks_for_more(command, collector, local):
    def make(trace_id):
        return Span(trace_id, "1" * 16, "", "x", "internal", 1, 2)

    collector.store.add([make("ab" + "0" * 30), make("ab" + "1" * 30)])
    assert "2 traces begin with ab" in command("trace", "ab").output
