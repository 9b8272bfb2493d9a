"""What a router counts. Plain integers on the hot path; Prometheus reads them when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.messages import TYPED
from shared.redis_link import RedisLink


class RouterMetrics(Collector):
    """The counters of one router.

    Attributes:
        unavailable: calls answered 503 because Redis did not answer.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._published: Counter[str] = Counter()
        self.unavailable = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_publish(self, message_type: str) -> None:
        self._published[message_type if message_type in TYPED else "custom"] += 1

    def collect(self) -> Iterator[Metric]:
        published = CounterMetricFamily(
            "vsrt_router_published_messages", "Messages answered with 202, by type.", labels=["type"]
        )
        for kind, count in self._published.items():
            published.add_metric([kind], count)
        yield published
        yield CounterMetricFamily("vsrt_router_unavailable", "Calls answered with 503.", value=self.unavailable)
        yield GaugeMetricFamily(
            "vsrt_router_redis_connected", "1 while Redis can be reached.", value=float(self._link.connected)
        )
        yield CounterMetricFamily(
            "vsrt_router_redis_reconnects", "Connections to Redis lost.", value=self._link.reconnects
        )

    def render(self) -> bytes:
        return generate_latest(self._registry)
