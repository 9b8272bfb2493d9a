"""``docs/metrics.md``: every metric, from the classes that declare them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from node.metrics import NodeMetrics
from router.metrics import RouterMetrics
from shared.exposition import TARGET
from shared.metrics import Metric, Metrics
from shared.service_metrics import ServiceMetrics

_INTRO: Final = """\
# Metrics

<!-- Written by docs/generate.py from the classes that declare the metrics (make docs). Do not edit. -->

Nodes and routers serve them at `/metrics` for Prometheus (a node also on `NODE_MANAGEMENT_PORT`, where it answers until
its last client is gone), and send them to an OpenTelemetry collector over OTLP/HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT`
or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is set, every `OTEL_METRIC_EXPORT_INTERVAL` ms (60,000). Sums are always
cumulative. [tracing.md](tracing.md#send-them-to-a-collector) has the other variables: for metrics and traces they are
the same.

Both ways tell the same under the same names: OpenTelemetry's have dots, and Prometheus' are derived from them by its
rules (`vsrt.node.lease.age` in `s` is `vsrt_node_lease_age_seconds`). Where OpenTelemetry has a convention
(`messaging.*`, `http.*`, `db.*`, `process.*`, `cpython.*`), the name is the convention's. Durations are in seconds.

A trace is an exemplar of the histograms that it is in ([tracing.md](tracing.md#from-a-number-to-a-trace)).

Labels have few values. `type` is one of the four typed messages or `custom`, whatever producers call theirs;
`audience` is `user`, `admin` or `all`. No label has a user's id, a token or anything else of which there may be many.

[helm/videosite-realtime/dashboards](../helm/videosite-realtime/dashboards) has Grafana dashboards,
[helm/videosite-realtime/rules](../helm/videosite-realtime/rules) Prometheus rules, and [alerts.md](alerts.md) says
what to do when one fires. They expect the scrape jobs to be called `vsrt-node` and `vsrt-router`, and
numbers every 30 s or more often, for rules look at two minutes at a time. Over OTLP that is
`OTEL_METRIC_EXPORT_INTERVAL=30000`.

## How long a message takes

`vsrt_node_delivery_duration_seconds` begins with the router's time in the envelope, taken just before the message goes
to Redis, and ends after the last of its socket writes on a node: one observation per message and node, however many
sockets. Both ends are read on Redis's clock, which routers and nodes ask for every two seconds (the quickest of the
last answers counts), so hosts' clocks need not agree. What is still negative counts as 0 s, and in
`vsrt_node_early_messages_total`. A repeated call bears the time of the first, so the wait for its completion is in it.
What clients get from history is not in here: `vsrt_node_history_repair_duration_seconds` tells for how long a stream
was behind.
"""

_HEAD: Final = "| metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n"


def metrics_page() -> str:
    own = {NodeMetrics: "Nodes", RouterMetrics: "Routers"}
    shared = [TARGET, *metrics_of(ServiceMetrics)]
    parts = [_INTRO, _section("Nodes and routers", shared)]
    known = {metric.prometheus for metric in shared}
    for metrics, title in own.items():
        parts.append(_section(title, (m for m in metrics_of(metrics) if m.prometheus not in known)))
    return "".join(parts)


def metrics_of(metrics: type[Metrics]) -> list[Metric]:
    return [declared.metric for declared in metrics.declared()]


def _section(title: str, metrics: Iterable[Metric]) -> str:
    return f"\n## {title}\n\n{_HEAD}{''.join(map(_row, metrics))}"


def _row(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    labels = ", ".join(f"`{label}`" for label in metric.prometheus_labels) or "–"
    return f"| `{metric.prometheus}`<br>`{metric.name}` | {metric.kind}{unit} | {labels} | {metric.help} |\n"
