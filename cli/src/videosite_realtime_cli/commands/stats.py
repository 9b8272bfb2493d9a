"""`videosite-realtime stats`: the cluster's counters and its nodes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from videosite_realtime_cli import settings, terminal
from videosite_realtime_cli.errors import Unreachable
from videosite_realtime_cli.local_file import local_file, read
from videosite_realtime_cli.options import ApiKey, JsonOutput, RouterUrl
from videosite_realtime_cli.router_api import Json, RouterApi
from videosite_realtime_cli.terminal import counted, legible

COUNTERS = {
    "total_users": "user",
    "total_user_connections": "user connection",
    "total_admin_connections": "admin connection",
    "total_connections": "connection",
}
_STATES = {"up": "green", "draining": "yellow"}


def stats(
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date; Ctrl-C ends it.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, max=86400, help="Seconds between looks, with --watch.")] = 1.0,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Show the cluster's counters and its nodes.

    For example:

    - `videosite-realtime stats --watch`
    - `videosite-realtime stats --json-output | jq .stats.total_users`
    """
    access = settings.router_access(router_url, api_key, read(local_file()))
    console = terminal.output()
    with RouterApi(access) as router:
        if json_output:
            typer.echo(json.dumps({"stats": router.stats(), **router.nodes()}, ensure_ascii=False))
        elif not watch:
            console.print(view(router.stats(), router.nodes(), datetime.now(UTC)))
        else:
            _watch(router, interval, Live(console=console, auto_refresh=False))


def view(counters: Json, nodes: Json, now: datetime) -> RenderableType:
    """Return the nodes as a table above the cluster's counters; what a router does not say is shown as ``–``."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("node", "state", "up for", "version"):
        table.add_column(heading)
    for heading in ("users", "user connections", "admin connections"):
        table.add_column(heading, justify="right")
    for node in _nodes(nodes):
        state = _cell(node, "state")
        table.add_row(
            _cell(node, "name") if "name" in node else _cell(node, "node_id"),
            Text(state, _STATES.get(state, "")),
            _age(node.get("started_at"), now),
            *(_cell(node, name) for name in ("version", "users", "user_connections", "admin_connections")),
        )
    totals = (counted(counters.get(name), noun) for name, noun in COUNTERS.items())
    return Group(table, Text(), Text.assemble(("cluster  ", "bold"), " · ".join(totals)))


def _watch(router: RouterApi, interval: float, live: Live) -> None:
    try:
        with live:
            while True:
                try:
                    shown = view(router.stats(), router.nodes(), datetime.now(UTC))
                except Unreachable as error:  # a router that starts anew is worth waiting for
                    shown = Text(str(error), "red")
                live.update(shown, refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt


def _nodes(answer: Json) -> Sequence[Json]:
    nodes = answer.get("nodes")
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []


def _cell(values: Json, name: str) -> str:
    value = values.get(name)
    return "–" if value is None else legible(str(value))


def _age(started_at: object, now: datetime) -> str:
    """Return how long ago, from an ISO 8601 time or seconds since the Unix epoch."""
    try:
        match started_at:
            case str():
                started = datetime.fromisoformat(started_at)
                started = started if started.tzinfo else started.replace(tzinfo=UTC)
            case int() | float():
                started = datetime.fromtimestamp(started_at, UTC)
            case _:
                return "–"
    except (ValueError, OverflowError, OSError):
        return "–"
    seconds = max(0, int((now - started).total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
