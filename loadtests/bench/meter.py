"""What an activity costs a cluster: CPU by part, and what Redis says of its commands, bytes and memory.

Before each activity the same is read while nothing happens, for as long as needed to know it, and taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import redis

from loadtests.bench.figures import cpu_seconds
from tests.support.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Reading:
    """Costs, of an interval or of one of something; CPU in µs, traffic in bytes as Redis counts it.

    Attributes:
        nodes: of all nodes together.
        received, sent: by Redis.
        memory: bytes that Redis holds more than before.
    """

    nodes: float
    routers: float
    redis: float
    commands: float
    received: float
    sent: float
    memory: float

    def __sub__(self, other: Reading) -> Reading:
        return self._with(other, lambda mine, its: mine - its)

    def __truediv__(self, count: float) -> Reading:
        return self._with(self, lambda mine, _: mine / count)

    def __mul__(self, count: float) -> Reading:
        return self._with(self, lambda mine, _: mine * count)

    def _with(self, other: Reading, how: Callable[[float, float], float]) -> Reading:
        return Reading(*(how(getattr(self, name), getattr(other, name)) for name in Reading.__slots__))


class Meter:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._redis = redis.Redis.from_url(cluster.redis.url)
        first = self.now()
        self._look = self.now() - first  # what it costs to be looked at: an answer of several KB
        self.idle_second = self._look * 0

    def now(self) -> Reading:
        info = self._redis.info()
        return Reading(
            _cpu(node.pid for node in self._cluster.nodes),
            _cpu(router.pid for router in self._cluster.routers),
            _cpu([self._cluster.redis.pid]),
            info["total_commands_processed"],
            info["total_net_input_bytes"],
            info["total_net_output_bytes"],
            info["used_memory"],
        )

    def rest(self, pause: Callable[[float], None], seconds: float) -> Reading:
        """Let so much time pass in which nothing happens; take note of what a second of it costs, and return it."""
        before, began = self.now(), time.monotonic()
        pause(seconds)
        self.idle_second = (self.now() - before - self._look) / (time.monotonic() - began)
        return self.idle_second

    def of(self, activity: Callable[[], object], count: int) -> Reading:
        """Return what one of ``count`` costs beyond what passes anyhow."""
        before, began = self.now(), time.monotonic()
        activity()
        used = self.now() - before - self._look
        return (used - self.idle_second * (time.monotonic() - began)) / count

    def key_bytes(self, pattern: str, most: int = 50) -> float:
        """Return what a key of this pattern takes on average, its place in the keyspace included."""
        keys = [key for _, key in zip(range(most), self._redis.scan_iter(pattern, count=1000), strict=False)]
        return sum(self._redis.memory_usage(key, samples=0) or 0 for key in keys) / max(len(keys), 1)

    def close(self) -> None:
        self._redis.close()


def _cpu(pids: Iterable[int]) -> float:
    return sum(map(cpu_seconds, pids)) * 1e6
