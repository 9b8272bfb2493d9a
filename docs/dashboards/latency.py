"""How long a message takes, by what it is, where it goes, and where the time goes."""

from __future__ import annotations

from docs.dashboards.board import board
from docs.dashboards.panels import HERE, NODE, PER_SECOND, SECONDS, SHARE, Panel, Query, lines, percentiles, stat

_RATE = "[$__rate_interval]"
_BUCKETS = f"vsrt_node_delivery_duration_seconds_bucket{{{NODE}}}"
_COUNT = f"vsrt_node_delivery_duration_seconds_count{{{NODE}}}"
_CALLS = f'job="vsrt-router",http_request_method="POST",{HERE}'
_SLOW = ["VsrtDeliverySlow", "VsrtDeliveryVerySlow"]


def _stat(title: str, quantile: float) -> Panel:
    expr = f"histogram_quantile({quantile:g}, sum by (le) (rate({_BUCKETS}{_RATE})))"
    what = "From publish to the last socket write on a node."
    return stat(title, what, expr, unit=SECONDS, limits=(0.25, 0.5), width=4, alerts=_SLOW)


def _within(bound: str, limits: tuple[float, float]) -> Panel:
    at_most = _BUCKETS.replace("}", f',le="{bound}"}}')
    expr = f"sum(rate({at_most}{_RATE})) / sum(rate({_COUNT}{_RATE}))"
    what = f"Share of the messages that take at most {bound} s."
    return stat(f"Within {float(bound) * 1000:g} ms", what, expr, unit=SHARE, limits=limits, width=4)


def _objective() -> list[Panel]:
    rate = stat("Messages", "Per second, each counted once per node.", f"sum(rate({_COUNT}{_RATE}))",
                unit=PER_SECOND, width=4)  # fmt: skip
    return [
        _stat("p50", 0.5),
        _stat("p95", 0.95),
        _stat("p99", 0.99),
        _within("0.1", (0.999, 0.99)),
        _within("0.5", (0.9999, 0.999)),
        rate,
    ]


def _distribution() -> list[Panel]:
    return [
        lines("Percentiles", "From a message's publish to the last of its socket writes on a node, on Redis's clock.",
              *percentiles(_BUCKETS, of=(0.5, 0.9, 0.99, 0.999), exemplars=True),
              unit=SECONDS, width=12, height=10, limits=(0.5,), alerts=_SLOW),
        Panel("heatmap", "Distribution", "How many messages took how long.",
              [Query(f"sum by (le) (increase({_BUCKETS}{_RATE}))", "{{le}}", heatmap=True)],
              width=12, height=10),
    ]  # fmt: skip


def _by() -> list[Panel]:
    return [
        lines(f"p99 by {by}", text, *percentiles(_BUCKETS, by, of=(0.99,)), unit=SECONDS, limits=(0.5,))
        for by, text in (
            ("type", "By what is said."),
            ("audience", "By whom it is for: what goes to all is written to every socket of a node before it counts."),
            ("instance", "By node: one that stands out lacks processor time, or is far from Redis."),
        )
    ]


def _hops() -> list[Panel]:
    publish = f'db_stored_procedure_name="publish",error_type="",{HERE}'
    return [
        lines("Where the time goes, p99",
              "The router's call contains its way through Redis, and that the script's; what the "
              "delivery has beyond them is the bus and the node. Percentiles of parts do not add up.",
              *_named("delivery", _BUCKETS),
              *_named("router's call", f"http_server_request_duration_seconds_bucket{{{_CALLS}}}"),
              *_named("way through Redis", f"messaging_client_operation_duration_seconds_bucket{{{HERE}}}"),
              *_named("publish script", f"db_client_operation_duration_seconds_bucket{{{publish}}}"),
              unit=SECONDS, width=12, height=10, alerts=[*_SLOW, "VsrtPublishSlow"]),
        lines("Who is late, p99", "By how much the event loop of each process is late: all its messages wait as long.",
              *percentiles(f'vsrt_event_loop_lag_seconds_bucket{{job=~"vsrt-node|vsrt-router",{HERE}}}', "instance",
                           of=(0.99,)), unit=SECONDS, width=12, height=10, limits=(0.25,), alerts=["VsrtEventLoopLag"]),
    ]  # fmt: skip


def _named(name: str, buckets: str) -> list[Query]:
    return [Query(query.expr, name) for query in percentiles(buckets, of=(0.99,))]


def _around() -> list[Panel]:
    return [
        lines("Behind", "How long streams were behind that had to read history: their messages are not in the above.",
              *percentiles(f"vsrt_node_history_repair_duration_seconds_bucket{{{NODE}}}", of=(0.5, 0.99)),
              unit=SECONDS, alerts=["VsrtBusLossy"]),
        lines("Mean", "Sum by count; more than the median shows outliers.",
              Query(f"sum(rate({_COUNT.replace('_count', '_sum')}{_RATE})) / sum(rate({_COUNT}{_RATE}))", "mean"),
              unit=SECONDS),
        lines("Early", "Messages that were here before they were published, by the clocks: taken as 0 s. Many of them "
              "mean that Redis's clock is not known well.",
              Query(f"sum by (instance) (rate(vsrt_node_early_messages_total{{{NODE}}}{_RATE}))", "{{instance}}"),
              unit=PER_SECOND, alerts=["VsrtClockSkew"]),
    ]  # fmt: skip


def latency() -> str:
    return board(
        "latency",
        "VideoSite Realtime: delivery latency",
        "How long a message takes from publish to socket, and where the time goes.",
        [
            ("Objective", _objective()),
            ("Distribution", _distribution()),
            ("By type, audience, node", _by()),
            ("Hops", _hops()),
            ("Around it", _around()),
        ],
        instances_of="vsrt_node_connections",
    )
