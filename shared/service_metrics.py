"""What nodes and routers measure alike: Redis, HTTP, tokens, the cluster's sums, the process."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared import process
from shared.caretaker import Caretaker
from shared.command_times import CommandTimes
from shared.http_times import HttpTimes
from shared.link import Link
from shared.loop_lag import LoopLag
from shared.metrics import COMMAND, LATENCY, REQUEST, Distributions, Metrics, Values, counter, gauge, histogram
from shared.tracing import SpanCounts
from shared.version import VERSION


@dataclass(frozen=True, slots=True)
class Sources:
    """What both services have to read.

    Attributes:
        links: the connections to Redis by what they are for; ``commands`` is one of them, see :func:`command_links`.
        spans: of traces, if any are exported.
    """

    links: Mapping[str, Link]
    commands: CommandTimes
    requests: HttpTimes
    caretaker: Caretaker
    loop_lag: LoopLag
    spans: SpanCounts = field(default_factory=SpanCounts)


def command_links(link: Link) -> dict[str, Link]:
    """Return the connections for commands by name: ``commands``, and ``commands.<hash tag>`` if there are several."""
    parts = link.parts if len(link.parts) > 1 else ()
    return {"commands": link, **{f"commands.{part.tags[0]}": part for part in parts}}


def resource(service: str, instance: str) -> dict[str, str]:
    """Return what is true of everything that a process tells, by OpenTelemetry's names."""
    return {"service.name": service, "service.version": VERSION, "service.instance.id": instance}


class ServiceMetrics(Metrics):
    """The metrics of any service of ours."""

    def __init__(self, resource: Mapping[str, str], sources: Sources) -> None:
        super().__init__(resource)
        self._sources = sources

    # --- Redis

    @gauge(
        "vsrt.redis.connected",
        "",
        "1 while a connection to Redis is up; commands: while all are that a Redis Cluster needs.",
        "link",
    )
    def redis_connected(self) -> Values:
        return {name: int(link.connected) for name, link in self._sources.links.items()}

    @counter("vsrt.redis.reconnects", "{connection}", "Connections to Redis that were lost.", "link")
    def redis_reconnects(self) -> Values:
        # Without the cluster's link as a whole: a sum over the label would count each reconnect twice.
        return {name: link.reconnects for name, link in self._sources.links.items() if len(link.parts) == 1}

    @histogram(
        "db.client.operation.duration",
        "s",
        "Time from a command to Redis to its answer, by command and script; error_type is empty without an error.",
        "db.system.name",
        "db.operation.name",
        "db.stored_procedure.name",
        "error.type",
        bounds=COMMAND,
    )
    def redis_commands(self) -> Distributions:
        return {("redis", *labels): buckets for labels, buckets in self._sources.commands.series.items()}

    @gauge(
        "vsrt.redis.clock.offset",
        "s",
        "By how much Redis's clock is ahead of this host's; negative: behind.",
    )
    def redis_clock_offset(self) -> Values:
        return self._sources.links["commands"].clock.ahead_of_ours

    # --- HTTP

    @histogram(
        "http.server.request.duration",
        "s",
        "Time from a request's first byte to the end of its answer; WebSockets are not in here.",
        "http.request.method",
        "url.scheme",
        "http.route",
        "http.response.status_code",
        bounds=REQUEST,
    )
    def http_requests(self) -> Distributions:
        return self._sources.requests.series

    # --- the cluster, as the caretaker last summed it up

    @gauge("vsrt.cluster.users", "{user}", "Distinct users of the whole cluster, as each process sees it.")
    def cluster_users(self) -> Values:
        return self._sources.caretaker.stats.counters.users

    @gauge(
        "vsrt.cluster.connections",
        "{connection}",
        "Connections of the whole cluster, as each process sees it.",
        "kind",
    )
    def cluster_connections(self) -> Values:
        counters = self._sources.caretaker.stats.counters
        return {"user": counters.user_connections, "admin": counters.admin_connections}

    @gauge("vsrt.cluster.stats.age", "s", "Age of the cluster's sums: above a second, nobody adds them up.")
    def cluster_stats_age(self) -> Values:
        at_ms = self._sources.caretaker.stats.at_ms
        return max(self._sources.links["commands"].server_ms() - at_ms, 0) / 1000 if at_ms else None

    @counter(
        "vsrt.cluster.dead_nodes",
        "{node}",
        "Nodes of the whole cluster that died or hung, as each process has seen it; by what they last said of "
        "themselves: up, or draining (ended before they had left).",
        "state",
    )
    def dead_nodes(self) -> Values:
        return self._sources.caretaker.deaths.total.nodes

    @counter("vsrt.cluster.dead_nodes.connections", "{connection}", "Connections that those nodes still held.", "state")
    def dead_nodes_connections(self) -> Values:
        return self._sources.caretaker.deaths.total.connections

    # --- traces

    @counter(
        "vsrt.traces.spans",
        "{span}",
        "Spans, by what became of them: exported, dropped (no room to wait), failed (the collector took them not).",
        "outcome",
    )
    def trace_spans(self) -> Values:
        counts = self._sources.spans
        return {"exported": counts.exported, "dropped": counts.dropped, "failed": counts.failed}

    # --- the process

    @histogram(
        "vsrt.event_loop.lag",
        "s",
        "By how much a timer was late, four times a second: all else waits as long.",
        bounds=LATENCY,
    )
    def event_loop_lag(self) -> Distributions:
        return self._sources.loop_lag.buckets

    @counter("process.cpu.time", "s", "Processor time.", "cpu.mode")
    def cpu_time(self) -> Values:
        return process.cpu_seconds()

    @gauge("process.memory.usage", "By", "Physical memory in use (resident set).")
    def memory(self) -> Values:
        return process.resident_bytes()

    @gauge("process.open_file_descriptor.count", "{file_descriptor}", "Open files; every connection is one.")
    def open_files(self) -> Values:
        return process.open_files()

    @gauge("vsrt.process.open_file_descriptor.limit", "{file_descriptor}", "Files that may be open at most.")
    def open_files_limit(self) -> Values:
        return process.open_files_limit()

    @gauge("process.uptime", "s", "Time since the process started.")
    def uptime(self) -> Values:
        return process.uptime()

    @counter("cpython.gc.collections", "{collection}", "Garbage collections.", "cpython.gc.generation")
    def collections(self) -> Values:
        return {str(generation): stats["collections"] for generation, stats in enumerate(gc.get_stats())}
