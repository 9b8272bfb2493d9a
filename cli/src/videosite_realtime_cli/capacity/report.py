"""A plan as tables for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from videosite_realtime_cli.capacity.costs import UnitCosts
from videosite_realtime_cli.capacity.model import SPARE, Cluster, Demand, Limit, key_bytes

_CLUSTER = (
    "A Redis Cluster spreads what is single users' over up to four servers, and what is everybody's not at all; by how "
    "much that helps is not measured (docs/capacity.md)."
)
_UNITS = {"bytes": "", "bytes/s": "/s"}


def report(demand: Demand, cluster: Cluster, costs: UnitCosts) -> RenderableType:
    return Group(
        Text(_demand(demand), "dim"),
        Text(),
        _parts(demand, cluster),
        Text(),
        _redis(cluster),
        Text(),
        _memory(cluster, costs),
        Text(),
        _verdict(cluster),
        Text(f"Unit costs measured on {costs.measured} ({costs.conditions}): {costs.command}", "dim"),
    )


def _demand(demand: Demand) -> str:
    return (
        f"{demand.users:,.0f} users on {demand.connections:,.0f} connections, {demand.rate:,.0f} messages/s to single "
        f"users ({demand.batched:.0%} in batches), {demand.videos * demand.updates:,.0f} progress/s, "
        f"{demand.broadcasts * 3600:,.0f} broadcasts an hour"
    )


def _parts(demand: Demand, cluster: Cluster) -> Table:
    table = _table("", "number", "cores used", "")
    most = max(cluster.nodes_for, key=lambda reason: cluster.nodes_for[reason])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in cluster.nodes_for.items())
    table.add_row(
        "nodes",
        f"{cluster.nodes:,}",
        f"{cluster.node_cores:,.1f}",
        f"{most} decides ({reasons}), {SPARE} to spare; {cluster.storm_cores:,.1f} cores while everybody comes back",
    )
    table.add_row(
        "",
        "",
        "",
        f"each {demand.connections / cluster.nodes:,.0f} connections, {_bytes(cluster.node_bytes)} of memory; "
        f"a broadcast is written within {cluster.broadcast_seconds:.2f} s",
    )
    table.add_row("routers", f"{cluster.routers:,}", f"{cluster.router_cores:,.1f}", "one of them may restart")
    network = f"{_bytes(cluster.egress)}/s to browsers; a broadcast adds {_bytes(cluster.broadcast_bytes)}"
    table.add_row("network", "", "", network)
    return table


def _redis(cluster: Cluster) -> Table:
    table = _table("Redis", "used", "available", "share", "most of it")
    for limit in cluster.limits:
        colour = "red" if limit.share > 1 else "yellow" if limit.share > 0.7 else "green"
        table.add_row(
            limit.name, _amount(limit, limit.used), _amount(limit, limit.available), Text(f"{limit.share:.0%}", colour),
            limit.cause,
        )  # fmt: skip
    table.add_row("commands/s", f"{cluster.commands:,.0f}", "", "", "")
    return table


def _memory(cluster: Cluster, costs: UnitCosts) -> Text:
    """Say of what Redis's memory is made, and what the keys cost, which nobody expects."""
    parts = sorted(cluster.memory_parts.items(), key=lambda part: -part[1])
    made = ", ".join(f"{name} {_bytes(size)}" for name, size in parts if size >= 1)
    alone, batched = _bytes(key_bytes(costs)), _bytes(key_bytes(costs, batched=True))
    return Text(
        f"Redis's memory: {made}. A message per second that bears a key costs {alone} of it, in a batch {batched}: "
        "keys are kept for 24 hours. Reckoned as if the peak lasted a day."
    )


def _verdict(cluster: Cluster) -> Text:
    first = cluster.first
    if cluster.fits:
        return Text(
            f"What breaks first: {first.name}, for {first.cause}; at {1 / first.share:.1f} times this load.", "bold"
        )
    over = [f"{limit.name} {limit.share:.1f} times, for {limit.cause}" for limit in cluster.limits if limit.share > 1]
    return Text(f"One Redis is not enough. It would be needed: {'; '.join(over)}. {_CLUSTER}", "bold red")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index in {0, len(headings) - 1} else "right")
    return table


def _amount(limit: Limit, value: float) -> str:
    if limit.unit in _UNITS:
        return _bytes(value) + _UNITS[limit.unit]
    return f"{value:.3f} {limit.unit}" if value < 0.1 else f"{value:.2f} {limit.unit}"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:,.0f} {unit}" if value >= 100 or unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    raise AssertionError
