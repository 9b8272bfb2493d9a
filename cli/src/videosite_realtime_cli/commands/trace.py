"""`videosite-realtime trace`: what happened to a message on its way, hop by hop."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from videosite_realtime_cli import terminal
from videosite_realtime_cli.errors import BadInput, NoTraces, NotYet
from videosite_realtime_cli.local_file import local_file, read
from videosite_realtime_cli.options import JsonOutput
from videosite_realtime_cli.terminal import legible
from videosite_realtime_cli.traces.archive import Archive, Trace
from videosite_realtime_cli.traces.hops import HOPS, TOTAL, Journey, journeys, percentile
from videosite_realtime_cli.traces.waterfall import Waterfall, duration, header, is_of_a_message, root_of

_ROWS = 60
_LOOKED_THROUGH = 1000  # traces
_SETTLES_NS = 1_500_000_000  # spans are on their way for half a second; a trace older than this is whole
_LOOK_EVERY = 0.2


def trace(
    which: Annotated[str, typer.Argument(metavar="ID|last|list|hops", help="A trace's id, or how it begins.")] = "last",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a trace that has not come yet.")] = 3.0,
    limit: Annotated[int, typer.Option(min=1, help="How many, with `list`.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Every span of a long trace.")] = False,
    json_output: JsonOutput = False,
) -> None:
    """Show a message's way through the local cluster, as its spans tell it.

    `list` shows the newest traces, `hops` how long each hop takes (p50 and p99 over the traces that are kept).

    For example:

    - `videosite-realtime trace last`
    - `videosite-realtime send user 7 "hello"`, then `videosite-realtime trace` with the id that it prints
    - `videosite-realtime trace hops`
    """
    with Archive(_url()) as archive:
        if which == "list":
            _show_list(archive.newest(limit), as_json=json_output)
        elif which == "hops":
            _show_hops(archive.newest(_LOOKED_THROUGH), as_json=json_output)
        else:
            found = _wait_for_last(archive, wait) if which == "last" else _wait_for(archive, which, wait)
            _show(found, None if everything else _ROWS, as_json=json_output)


def _url() -> str:
    local = read(local_file())
    if local is None:
        raise NoTraces("no local cluster runs here: start one with `videosite-realtime up`")
    if not local.traces_url:
        raise NoTraces("this cluster's traces go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, if to any")
    return local.traces_url


def _wait_for_last(archive: Archive, wait: float) -> Trace:
    """Return the newest trace of a message; any other if there is none."""
    until = time.monotonic() + wait
    while True:
        newest = archive.newest(_LOOKED_THROUGH)
        of_messages = [trace for trace in newest if is_of_a_message(trace)]
        # One whose spans may be on their way is shown only if there is no older one.
        whole = [trace for trace in of_messages if _has_settled(trace)]
        for candidates in (whole, of_messages, newest):
            if candidates and (candidates is not newest or time.monotonic() >= until):
                return max(candidates, key=lambda trace: root_of(trace).start_ns)
        if time.monotonic() >= until:
            raise NotYet("no trace has come yet: send something, with `videosite-realtime send` for example")
        time.sleep(_LOOK_EVERY)


def _wait_for(archive: Archive, beginning: str, wait: float) -> Trace:
    if not 2 <= len(beginning) <= 32 or any(digit not in "0123456789abcdef" for digit in beginning.lower()):
        raise BadInput(f"not the id of a trace (hex digits), nor last, list or hops: {beginning!r}")
    until = time.monotonic() + wait
    while True:
        found = archive.find(beginning)
        if len(found) > 1:
            raise BadInput(f"{len(found)} traces begin with {beginning}: give more of the id")
        if found and (_has_settled(found[0]) or time.monotonic() >= until):
            return found[0]
        if time.monotonic() >= until:
            raise NotYet(
                f"nothing of trace {beginning} has come within {wait:g} s: it is not sampled, too old to be kept here, "
                "or not this cluster's"
            )
        time.sleep(_LOOK_EVERY)


def _has_settled(trace: Trace) -> bool:
    return time.time_ns() - max(span.end_ns for span in trace) > _SETTLES_NS


def _show(found: Trace, limit: int | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(span) for span in found], ensure_ascii=False))
        return
    console = terminal.output()
    console.print(header(found), soft_wrap=True)
    console.print(Waterfall(found, limit if limit is not None else len(found)))


def _show_list(traces: Sequence[Trace], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([[asdict(span) for span in trace] for trace in traces], ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("begun", "trace", "begins with"):
        table.add_column(heading, no_wrap=True)
    for heading in ("spans", "takes"):
        table.add_column(heading, justify="right")
    for each in traces:
        root, ended = root_of(each), max(span.end_ns for span in each)
        failed = any(span.status == "error" for span in each)
        table.add_row(
            f"{datetime.fromtimestamp(root.start_ns / 1e9).astimezone():%H:%M:%S}",
            root.trace_id,
            Text(legible(root.name), "red" if failed else ""),
            str(len(each)),
            duration(ended - root.start_ns),
        )
    terminal.output().print(table)


def _show_hops(traces: Sequence[Trace], *, as_json: bool) -> None:
    found = [journey for trace in traces for journey in journeys(trace)]
    if not found:
        raise NotYet("no trace of a message that reached a socket has come yet")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        terminal.output().print(hop_table(found))


def hop_table(found: Sequence[Journey]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("hop")
    for heading in ("messages", "p50", "p99"):
        table.add_column(heading, justify="right")
    for hop in (*HOPS, TOTAL):
        if times := [journey[hop] for journey in found if hop in journey]:
            table.add_row(hop, str(len(times)), *(duration(percentile(times, share)) for share in (0.5, 0.99)))
    return table
