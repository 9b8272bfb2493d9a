"""What a node tells Prometheus. The hot path counts in plain integers; they are read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.bus import Bus
from node.hub import Hub
from node.sweep import Sweep
from shared.redis_link import RedisLink


class NodeMetrics(Collector):
    def __init__(self, hub: Hub, bus: Bus, link: RedisLink, sweep: Sweep) -> None:
        self._hub, self._bus, self._link, self._sweep = hub, bus, link, sweep
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        users, admins = self._hub.connections.connection_counts()
        connections = GaugeMetricFamily("vsrt_node_connections", "Open connections, by kind.", labels=["kind"])
        connections.add_metric(["user"], users)
        connections.add_metric(["admin"], admins)
        yield connections
        yield from self._totals()
        yield from self._by_label()
        yield from self._gauges()

    def _totals(self) -> Iterator[Metric]:
        c = self._hub.counters
        totals = {
            "delivered_messages": ("Messages written to a client's socket.", c.delivered),
            "repeated_messages": ("Messages from the bus that were here already.", c.repeated),
            "history_repairs": ("Times a feed read history because the bus had left something out.", c.repairs),
            "resyncs": ("Times events were lost for good.", c.resyncs + self._hub.catch_up.resyncs),
            "expired_messages": ("Events not delivered because their time was over.", c.expired),
            "stalled_clients": ("Clients cut off because they read nothing.", c.stalled),
            "unreadable_envelopes": ("Publishes on our channels that could not be read.", c.unreadable),
            "bus_rebuilds": ("Times the node was deaf and subscribed anew.", self._bus.rebuilds),
            "redis_reconnects": ("Connections to Redis lost.", self._link.reconnects),
        }
        for name, (text, value) in totals.items():
            yield CounterMetricFamily(f"vsrt_node_{name}", text, value=value)

    def _by_label(self) -> Iterator[Metric]:
        c = self._hub.counters
        families = (
            ("opened_connections", "Connections welcomed, by kind.", "kind", c.opened),
            ("closed_connections", "Connections ended, by close code.", "code", c.closed),
            ("refused_connections", "Handshakes refused, by reason.", "reason", c.refused),
        )
        for name, text, label, counts in families:
            family = CounterMetricFamily(f"vsrt_node_{name}", text, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family

    def _gauges(self) -> Iterator[Metric]:
        gauges = {
            "catching_up": ("Sessions that read history just now.", self._hub.catch_up.busy),
            "redis_connected": ("1 while Redis can be reached.", float(self._link.connected)),
            "deaf": ("1 while the node does not hear its own probes.", float(self._bus.deaf)),
            "loop_lag_seconds": ("By how much the last timer was late.", self._sweep.loop_lag),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"vsrt_node_{name}", text, value=value)
