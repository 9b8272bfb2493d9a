"""How a service declares what it measures: every metric once, with its name, unit, meaning and labels.

A service's metrics are a class. Each metric is a method that reads numbers which the code keeps anyway, under a
decorator that says what they are::

    class NodeMetrics(Metrics):
        @gauge("vsrt.node.connections", "{connection}", "Open connections.", "kind")
        def connections(self) -> Values:
            return {"user": 3, "admin": 1}

Nothing is recorded through it: what happens thousands of times a second is counted in plain integers and
:class:`Buckets`, and read when somebody asks. (Measured: ``Histogram.record`` of OpenTelemetry's SDK 6.5 µs,
prometheus_client's ``observe`` 0.7 µs, labels not looked up; a message costs a node 4 µs in all.) ``/metrics``
(:mod:`shared.exposition`), OTLP (:mod:`shared.otlp`) and the documents are made from the same declarations.

Of what is traced, a histogram keeps an exemplar per bucket: it leads from a number to a trace.

Names and units are OpenTelemetry's; Prometheus' are derived by its rules: ``vsrt.node.lease.age`` in ``s`` is
``vsrt_node_lease_age_seconds``.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

Kind = Literal["counter", "gauge", "histogram"]
Bounds = tuple[float, ...]

# Seconds. Finer below 5 ms than what OpenTelemetry advises: on a quiet cluster most messages arrive within one.
LATENCY: Final[Bounds] = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMMAND: Final[Bounds] = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
REQUEST: Final[Bounds] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_UNITS: Final = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}


class Exemplar(NamedTuple):
    """What one observation of a bucket was, and the trace of what was observed."""

    value: float
    trace_id: int
    span_id: int
    at_ns: int

    @classmethod
    def of(cls, value: float, trace: SpanContext) -> Exemplar:
        return cls(value, trace.trace_id, trace.span_id, time.time_ns())


class Buckets:
    """The numbers of one histogram.

    Attributes:
        counts: per bound how many were not above it, and above the one before it; the last: above all.
        exemplars: the newest of each bucket that has had one, by its place in ``counts``.
    """

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplar] = {}
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def exemplify(self, value: float, trace: SpanContext) -> None:
        """Keep a trace as an example of those that took so long; it has been, or will be, added as well."""
        self.exemplars[bisect_left(self.bounds, value)] = Exemplar.of(value, trace)

    @property
    def count(self) -> int:
        return sum(self.counts)


Number = int | float
Labels = tuple[str, ...]
# One number, or one per value of the label (with several labels: per tuple of values); None: there is no value yet.
Values = Number | Mapping[Any, Number] | None
Distributions = Buckets | Mapping[Any, Buckets]


@dataclass(frozen=True, slots=True)
class Metric:
    """The declaration of a metric: name, unit, meaning and labels.

    Attributes:
        name: OpenTelemetry's, with dots.
        unit: in UCUM: ``s``, ``By``, ``1`` for a share, ``{message}`` for what is counted.
        labels: attributes, by OpenTelemetry's names; their values are few, and never a user's id or a token.
        bounds: of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: Labels = ()
    bounds: Bounds = ()

    @property
    def prometheus(self) -> str:
        """The name in Prometheus, as queries use it (a histogram's without ``_bucket``, ``_sum``, ``_count``)."""
        suffix = "_total" if self.kind == "counter" else ""
        # By OpenTelemetry's rules the unit "1" becomes "_ratio" for gauges, and nothing for counters and histograms.
        unit = _UNITS.get(self.unit, "") if self.unit != "1" or self.kind == "gauge" else ""
        return f"{self.name.replace('.', '_')}{unit}{suffix}"

    @property
    def prometheus_labels(self) -> Labels:
        return tuple(label.replace(".", "_") for label in self.labels)


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric of a class of metrics, and the method that reads it."""

    metric: Metric
    read: Callable[[Any], Values | Distributions]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and what it is just now, by the values of its labels."""

    metric: Metric
    points: Mapping[Labels, Number | Buckets]


class Metrics:
    """The base of a service's metrics: its subclasses declare them.

    Args:
        resource: what is true of the whole process, by OpenTelemetry's names (``service.name``, …).
    """

    def __init__(self, resource: Mapping[str, str]) -> None:
        self.resource = dict(resource)

    @classmethod
    def declared(cls) -> list[Declared]:
        """Return all declarations, the subclass's own first, in the order in which they are written."""
        return [found for base in cls.__mro__ for found in vars(base).values() if isinstance(found, Declared)]

    def collect(self) -> Iterator[Family]:
        """Read every metric."""
        for declared in self.declared():
            yield Family(declared.metric, _by_labels(declared.read(self)))


def _by_labels(values: Values | Distributions) -> dict[Labels, Number | Buckets]:
    if values is None:
        return {}
    if isinstance(values, Mapping):
        # Copied: what is told now must not change while it is written out.
        return {(key,) if isinstance(key, str) else key: value for key, value in values.items()}
    return {(): values}


def counter(name: str, unit: str, text: str, *labels: str) -> Callable[[Callable[[Any], Values]], Declared]:
    """Declare a value that only grows."""
    return lambda read: Declared(Metric(name, "counter", unit, text, labels), read)


def gauge(name: str, unit: str, text: str, *labels: str) -> Callable[[Callable[[Any], Values]], Declared]:
    """Declare a current value."""
    return lambda read: Declared(Metric(name, "gauge", unit, text, labels), read)


def histogram(
    name: str, unit: str, text: str, *labels: str, bounds: Bounds
) -> Callable[[Callable[[Any], Distributions]], Declared]:
    """Declare a distribution."""
    return lambda read: Declared(Metric(name, "histogram", unit, text, labels, bounds), read)
