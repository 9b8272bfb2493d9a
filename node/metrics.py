"""What a node measures. Every metric is declared here or in :mod:`shared.service_metrics`, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from node.bus import Bus
from node.delivery_times import Series
from node.drain import Drain
from node.hub import Hub
from node.membership import Membership
from node.sweep import Sweep
from shared import spans
from shared.auth import TokenVerifier
from shared.close_codes import CloseCode
from shared.metrics import LATENCY, Distributions, Values, counter, gauge, histogram
from shared.service_metrics import ServiceMetrics, Sources


class NodeMetrics(ServiceMetrics):
    """The metrics of one node.

    Args:
        limit: connections that it takes.
    """

    def __init__(
        self,
        resource: Mapping[str, str],
        sources: Sources,
        hub: Hub,
        bus: Bus,
        membership: Membership,
        sweep: Sweep,
        drain: Drain,
        verifier: TokenVerifier,
        *,
        limit: int,
    ) -> None:
        super().__init__(resource, sources)
        self._hub, self._bus, self._membership = hub, bus, membership
        self._sweep, self._drain, self._verifier, self._limit = sweep, drain, verifier, limit
        self._counters = hub.counters

    def _series(self) -> dict[tuple[str, str], Series]:
        """Return what was delivered as the bus brought it, by type and audience."""
        of = self._counters.delivery_times.items()
        return {(kind, audience): series for audience, found in of for kind, series in found.series().items()}

    # --- messages

    @histogram(
        "vsrt.node.delivery.duration",
        "s",
        "Time from a message's publish to the last of its socket writes on this node, on Redis's clock.",
        "type",
        "audience",
        bounds=LATENCY,
    )
    def delivery_duration(self) -> Distributions:
        return {labels: series.buckets() for labels, series in self._series().items()}

    @counter(
        "messaging.client.consumed.messages",
        "{message}",
        "Messages from the bus for somebody connected here, whatever the number of sockets.",
        "messaging.system",
        "messaging.operation.name",
        "type",
        "audience",
    )
    def consumed(self) -> Values:
        return {(spans.SYSTEM, spans.PROCESS, *labels): sum(series.counts) for labels, series in self._series().items()}

    @counter(
        "vsrt.node.delivered_messages",
        "{message}",
        "Messages written to sockets as the bus brought them, once per socket.",
        "type",
        "audience",
    )
    def delivered(self) -> Values:
        return {labels: series.written for labels, series in self._series().items()}

    @counter(
        "vsrt.node.caught_up_messages",
        "{message}",
        "Messages written to sockets from history or the table of states: after a gap, to who came back or was slow.",
    )
    def caught_up(self) -> Values:
        return self._counters.caught_up

    @counter(
        "vsrt.node.dropped_messages",
        "{message}",
        "Messages from the bus that were not written: repeated (here already), stale (a newer state stands), "
        "expired (their time was over), conflated (a state for a client that is behind and gets the newest later).",
        "reason",
    )
    def dropped(self) -> Values:
        c = self._counters
        return {"repeated": c.repeated, "stale": c.stale, "expired": c.expired, "conflated": c.conflated}

    @counter(
        "vsrt.node.early_messages",
        "{message}",
        "Messages here before they were published, by the clocks: taken as 0 s.",
    )
    def early(self) -> Values:
        return sum(times.early for times in self._counters.delivery_times.values())

    @counter("vsrt.node.unreadable_envelopes", "{envelope}", "Publishes on our channels that could not be read.")
    def unreadable(self) -> Values:
        return self._counters.unreadable

    @counter(
        "vsrt.node.acknowledgements",
        "{answer}",
        "What clients said of sampled messages: shown, ignored (not asked, or impossible), unanswered.",
        "outcome",
    )
    def acknowledgements(self) -> Values:
        acks = self._hub.acks
        if acks is None:
            return {"shown": 0, "ignored": 0, "unanswered": 0}
        return {"shown": acks.shown, "ignored": acks.ignored, "unanswered": acks.unanswered}

    # --- gaps and catching up

    @counter(
        "vsrt.node.history_repairs",
        "{repair}",
        "Times a stream read history: a gap in its numbers, another top in Redis (compared), "
        "a message before it was open (opened), a client that knew more (client).",
        "reason",
    )
    def repairs(self) -> Values:
        return {reason: self._counters.repairs[reason] for reason in ("gap", "compared", "opened", "client")}

    @histogram(
        "vsrt.node.history_repair.duration",
        "s",
        "Time for which a stream was behind while it read history.",
        bounds=LATENCY,
    )
    def repair_duration(self) -> Distributions:
        return self._counters.repair_times

    @counter("vsrt.node.resyncs", "{resync}", "Times events were lost for good while a client was connected.")
    def resyncs(self) -> Values:
        return self._counters.resyncs + self._hub.catch_up.resyncs

    @counter(
        "vsrt.node.catch_ups",
        "{catch_up}",
        "Clients brought up to date from history: they came back and got what they missed (resume), "
        "came back too late for that (too_late), or read too slowly (slow).",
        "reason",
    )
    def catch_ups(self) -> Values:
        c = self._counters
        return {"resume": c.resumed[True], "too_late": c.resumed[False], "slow": c.fell_behind}

    @gauge("vsrt.node.catching_up", "{connection}", "Clients that read history just now.")
    def catching_up(self) -> Values:
        return self._hub.catch_up.busy

    # --- connections

    @gauge("vsrt.node.connections", "{connection}", "Open connections.", "kind")
    def connections(self) -> Values:
        users, admins = self._hub.connections.connection_counts()
        return {"user": users, "admin": admins}

    @gauge("vsrt.node.users", "{user}", "Distinct users connected here.")
    def users(self) -> Values:
        return self._hub.connections.user_count()

    @gauge("vsrt.node.connections.limit", "{connection}", "Connections that this node takes (NODE_MAX_CONNECTIONS).")
    def connections_limit(self) -> Values:
        return self._limit

    @counter("vsrt.node.opened_connections", "{connection}", "Connections that were welcomed.", "kind")
    def opened(self) -> Values:
        return {kind: self._counters.opened[kind] for kind in ("user", "admin")}

    @counter("vsrt.node.opened_streams", "{connection}", "Of the connections that were welcomed, event streams.")
    def opened_streams(self) -> Values:
        return self._counters.streams

    @counter(
        "vsrt.node.polls",
        "{request}",
        "Calls of clients that poll: with something to tell (news), without (nothing), too many of a user (refused).",
        "outcome",
    )
    def polls(self) -> Values:
        return {outcome: self._counters.polls[outcome] for outcome in ("news", "nothing", "refused")}

    @counter(
        "vsrt.node.closed_connections",
        "{connection}",
        "Connections that ended, refused ones among them, by close code; codes of a client's own are other.",
        "code",
    )
    def closed(self) -> Values:
        return self._counters.closed

    @counter(
        "vsrt.node.refused_connections",
        "{connection}",
        "Handshakes that ended with a close code, by that code and the reason in its frame.",
        "code",
        "reason",
    )
    def refused(self) -> Values:
        return self._counters.refused

    @counter(
        "vsrt.auth.failures",
        "{failure}",
        "Callers without a valid token, and such as may not do what they asked for.",
        "reason",
    )
    def auth_failures(self) -> Values:
        forbidden = str(int(CloseCode.FORBIDDEN))
        refused = {reason: n for (code, reason), n in self._counters.refused.items() if code == forbidden}
        return {**{f"token {reason}": n for reason, n in self._verifier.failures.items()}, **refused}

    @gauge("vsrt.node.slow_clients", "{connection}", "Clients whose buffer has not drained, as of the last second.")
    def slow_clients(self) -> Values:
        return self._sweep.slow

    @counter("vsrt.node.stalled_clients", "{connection}", "Clients cut off because they read nothing for too long.")
    def stalled(self) -> Values:
        return self._counters.stalled

    # --- the bus and the lease

    @gauge("vsrt.node.bus.silence", "s", "Time since anything was heard on the bus; a probe comes every 3 s.")
    def bus_silence(self) -> Values:
        return self._bus.silent_for

    @gauge("vsrt.node.deaf", "", "1 while the node does not hear its own probes.")
    def deaf(self) -> Values:
        return int(self._bus.deaf)

    @counter("vsrt.node.bus_rebuilds", "{rebuild}", "Times the node was deaf and subscribed anew.")
    def bus_rebuilds(self) -> Values:
        return self._bus.rebuilds

    @gauge("vsrt.node.lease.age", "s", "Time since the lease was renewed; every 2 s, and after 8 s it lapses.")
    def lease_age(self) -> Values:
        return self._membership.lease_age

    @counter("vsrt.node.leases_lost", "{lease}", "Times the node found its lease lapsed and joined under a new id.")
    def leases_lost(self) -> Values:
        return self._membership.leases_lost

    # --- leaving

    @gauge("vsrt.node.draining", "", "1 from the signal to leave on.")
    def draining(self) -> Values:
        return int(self._membership.draining)

    @gauge("vsrt.node.drain.progress", "1", "Share of the connections that has been sent away; 0 while nobody is.")
    def drain_progress(self) -> Values:
        return self._drain.progress

    @gauge("vsrt.node.drain.time", "s", "Time since the drain began; 0 while there is none.")
    def drain_time(self) -> Values:
        return self._drain.lasts_for

    @gauge("vsrt.node.drain.limit", "s", "Time that a drain is to take (DRAIN_SECONDS).")
    def drain_limit(self) -> Values:
        return self._drain.seconds
