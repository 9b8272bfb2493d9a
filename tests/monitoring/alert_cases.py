"""For every alert, series under which it fires, and the nearest ones under which it must be silent.

Series are written as promtool has them: ``0+1x30`` is 0, 1, 2, … for half an hour, a sample each half minute;
``5x30`` stays 5.
"""

from __future__ import annotations

from dataclasses import dataclass

Series = dict[str, str]
BOUNDS = ("0.0001", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf")
LONG = 90  # samples: 45 minutes


@dataclass(frozen=True)
class Case:
    """An alert's two sides.

    Attributes:
        fires, silent: series by name and labels.
        at: when it is looked at.
    """

    alert: str
    fires: Series
    silent: Series
    at: str = "20m"


def steady(value: float) -> str:
    return f"{value:g}+0x{LONG}"


def rising(per_second: float) -> str:
    return f"0+{per_second * 30:g}x{LONG}"


def times(name: str, seconds: float, labels: str = "") -> Series:
    """Return a histogram's buckets, one observation per second, each of which took so long."""
    inside = f"{labels}," if labels else ""
    return {
        f'{name}_bucket{{{inside}le="{bound}"}}': rising(1 if bound == "+Inf" or float(bound) >= seconds else 0)
        for bound in BOUNDS
    }


def for_a_minute(series: Series) -> Series:
    """Return series that rise from the tenth minute to the eleventh and then stand still."""
    found: Series = {}
    for name, values in series.items():
        step = float(values.removeprefix("0+").partition("x")[0])
        found[name] = f"0+0x20 {step:g}+{step:g}x1 {2 * step:g}+0x{LONG}"
    return found


def delivery(seconds: float) -> Series:
    return times("vsrt_node_delivery_duration_seconds", seconds, 'instance="a",type="custom",audience="user"')


def nodes(*connections: float, limit: float = 10_000) -> Series:
    found: Series = {}
    for instance, count in zip("abcdefgh", connections, strict=False):
        found[f'vsrt_node_connections{{instance="{instance}",kind="user"}}'] = steady(count)
        found[f'vsrt_node_connections_limit{{instance="{instance}"}}'] = steady(limit)
    return found


def opened(per_second: float) -> Series:
    return {'vsrt_node_opened_connections_total{instance="a",kind="user"}': rising(per_second)}


def targets(**up: int) -> Series:
    """Return whether Prometheus reaches what; ``prod_node=0``: not the node of the namespace ``prod``."""
    found: Series = {}
    for name, value in up.items():
        namespace, job = name.split("_")
        labels = f'namespace="{namespace}",instance="{namespace}"'
        found[f'up{{job="vsrt-{job}",{labels}}}'] = steady(value)
        if value and job == "node":
            found[f'vsrt_node_connections{{kind="user",{labels}}}'] = steady(5)
        elif value:
            found[f'messaging_client_operation_duration_seconds_count{{job="vsrt-router",error_type="",{labels}}}'] = (
                steady(1)
            )
    return found


def calls(**per_second: float) -> Series:
    name = 'http_server_request_duration_seconds_count{job="vsrt-router",http_request_method="POST"'
    return {
        f'{name},http_response_status_code="{status.removeprefix("status_")}"}}': rising(rate)
        for status, rate in per_second.items()
    }


CASES = [
    Case("VsrtDeliverySlow", delivery(0.7), delivery(0.2)),
    Case("VsrtDeliveryVerySlow", delivery(4), delivery(2)),
    # Redis fails over: it is over, and nobody is woken for it minutes later.
    Case("VsrtDeliverySlow", delivery(0.7), for_a_minute(delivery(4))),
    Case("VsrtDeliveryVerySlow", delivery(4), for_a_minute(delivery(4))),
    Case(
        "VsrtBusLossy",
        {'vsrt_node_history_repairs_total{instance="a",reason="compared"}': rising(1)},
        for_a_minute({'vsrt_node_history_repairs_total{instance="a",reason="compared"}': rising(30)}),
        at="40m",
    ),
    Case(
        "VsrtClientsCutOff",
        {'vsrt_node_stalled_clients_total{instance="a"}': rising(2)},
        for_a_minute({'vsrt_node_stalled_clients_total{instance="a"}': rising(30)}),
        at="40m",
    ),
    Case("VsrtPublishErrors", calls(status_503=1), calls(status_202=10) | for_a_minute(calls(status_503=10))),
    Case(
        "VsrtAuthFailures",
        {'vsrt_auth_failures_total{instance="a",reason="token expired"}': rising(5)} | opened(1),
        for_a_minute({'vsrt_auth_failures_total{instance="a",reason="token expired"}': rising(50)}) | opened(1),
    ),
    Case(
        "VsrtEventsLost",
        {'vsrt_node_resyncs_total{instance="a"}': f"0+0x30 1+0x{LONG}"},
        {'vsrt_node_resyncs_total{instance="a"}': steady(7)},
    ),
    Case(
        "VsrtBusLossy",
        {'vsrt_node_history_repairs_total{instance="a",reason="gap"}': rising(1)},
        {
            'vsrt_node_history_repairs_total{instance="a",reason="gap"}': rising(0.1),
            'vsrt_node_history_repairs_total{instance="a",reason="opened"}': rising(9),
        },
        at="40m",
    ),
    Case(
        "VsrtUnreadableEnvelopes",
        {'vsrt_node_unreadable_envelopes_total{instance="a"}': rising(0.1)},
        {'vsrt_node_unreadable_envelopes_total{instance="a"}': f"0+3x5 15+0x{LONG}"},
        at="30m",
    ),
    Case("VsrtNoNodes", {"something_else": steady(1)}, nodes(0)),
    # One cluster has nodes; another's are gone from Prometheus, or do not answer it.
    Case(
        "VsrtNoNodes",
        targets(prod_router=1, dev_router=1, dev_node=1),
        targets(prod_router=1, prod_node=1, dev_router=1, dev_node=1),
    ),
    Case("VsrtNoNodes", targets(prod_node=0, dev_node=1), targets(prod_node=1, dev_node=1)),
    Case(
        "VsrtNodeDown",
        {'up{job="vsrt-node",instance="a"}': steady(0)},
        {'up{job="vsrt-node",instance="a"}': steady(1), 'up{job="another",instance="b"}': steady(0)},
    ),
    Case(
        "VsrtNodeLost",
        {'vsrt_cluster_dead_nodes_total{instance="a",state="up"}': f"0+0x30 1+0x{LONG}"},
        {'vsrt_cluster_dead_nodes_total{instance="a",state="up"}': steady(3)},
    ),
    # Who saw it may end before it is scraped again, for others saw it too. Killed while it left: that is another alert.
    Case(
        "VsrtNodeLost",
        {
            'vsrt_cluster_dead_nodes_total{instance="a",state="up"}': "0+0x30 1+0x2",
            'vsrt_cluster_dead_nodes_total{instance="b",state="up"}': f"0+0x30 1+0x{LONG}",
        },
        {
            'vsrt_cluster_dead_nodes_total{instance="a",state="up"}': steady(0),
            'vsrt_cluster_dead_nodes_total{instance="a",state="draining"}': f"0+0x30 1+0x{LONG}",
        },
    ),
    Case(
        "VsrtLeaseOverdue",
        {'vsrt_node_lease_age_seconds{instance="a"}': steady(7)},
        {'vsrt_node_lease_age_seconds{instance="a"}': steady(2.1)},
    ),
    Case(
        "VsrtNodeDeaf",
        {
            'vsrt_node_bus_silence_seconds{instance="a"}': steady(20),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(1),
        },
        # Without Redis, nobody hears anything: that is another alert.
        {
            'vsrt_node_bus_silence_seconds{instance="a"}': steady(20),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(0),
            'vsrt_node_bus_silence_seconds{instance="b"}': steady(3),
            'vsrt_redis_connected{instance="b",link="commands"}': steady(1),
        },
    ),
    Case(
        # In a Redis Cluster a bucket may be away meanwhile: what is heard comes from the shared tag's master.
        "VsrtNodeDeaf",
        {
            'vsrt_node_bus_silence_seconds{instance="a"}': steady(20),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(0),
            'vsrt_redis_connected{instance="a",link="commands.c"}': steady(1),
        },
        {
            'vsrt_node_bus_silence_seconds{instance="a"}': steady(20),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(0),
            'vsrt_redis_connected{instance="a",link="commands.c"}': steady(0),
            'vsrt_redis_connected{instance="a",link="commands.3"}': steady(1),
        },
    ),
    Case(
        "VsrtDrainCutShort",
        {'vsrt_cluster_dead_nodes_connections_total{instance="a",state="draining"}': f"0+0x30 700+0x{LONG}"},
        # All had left when it was killed; and what a node held that died unasked is another alert's.
        {
            'vsrt_cluster_dead_nodes_total{instance="a",state="draining"}': f"0+0x30 1+0x{LONG}",
            'vsrt_cluster_dead_nodes_connections_total{instance="a",state="draining"}': steady(700),
            'vsrt_cluster_dead_nodes_connections_total{instance="a",state="up"}': f"0+0x30 700+0x{LONG}",
        },
    ),
    Case(
        "VsrtEventLoopLag",
        times("vsrt_event_loop_lag_seconds", 0.4, 'job="vsrt-node",instance="a"'),
        times("vsrt_event_loop_lag_seconds", 0.05, 'job="vsrt-node",instance="a"'),
    ),
    Case(
        "VsrtOpenFiles",
        {
            'process_open_file_descriptor_count{instance="a"}': steady(950),
            'vsrt_process_open_file_descriptor_limit{instance="a"}': steady(1000),
        },
        {
            'process_open_file_descriptor_count{instance="a"}': steady(850),
            'vsrt_process_open_file_descriptor_limit{instance="a"}': steady(1000),
        },
    ),
    Case("VsrtCapacity", nodes(8500, 8100), nodes(9000, 6000)),
    Case("VsrtNodeFull", nodes(9600, 100), nodes(9400, 100)),
    Case("VsrtImbalance", nodes(3000, 1000, 1000), nodes(1300, 1000, 1000), at="40m"),
    Case("VsrtReconnectStorm", nodes(1000) | opened(50), nodes(1000) | opened(5)),
    Case(
        "VsrtSlowClients",
        nodes(1000) | {'vsrt_node_slow_clients{instance="a"}': steady(80)},
        nodes(100) | {'vsrt_node_slow_clients{instance="a"}': steady(15)},
    ),
    Case(
        "VsrtClientsCutOff",
        {'vsrt_node_stalled_clients_total{instance="a"}': rising(2)},
        {'vsrt_node_stalled_clients_total{instance="a"}': rising(0.5)},
        at="30m",
    ),
    Case(
        "VsrtAuthFailures",
        opened(1) | {'vsrt_auth_failures_total{instance="a",reason="token expired"}': rising(5)},
        opened(20) | {'vsrt_auth_failures_total{instance="a",reason="token expired"}': rising(5)},
    ),
    Case(
        "VsrtRedisAway",
        {
            'vsrt_redis_connected{job="vsrt-node",instance="a",link="commands"}': steady(1),
            'vsrt_redis_connected{job="vsrt-node",instance="a",link="bus"}': steady(0),
        },
        {
            'vsrt_redis_connected{job="vsrt-node",instance="a",link="commands"}': steady(1),
            'vsrt_redis_connected{job="vsrt-node",instance="a",link="bus"}': steady(1),
        },
    ),
    Case(
        "VsrtRedisFlapping",
        {'vsrt_redis_reconnects_total{job="vsrt-node",instance="a",link="bus"}': rising(0.01)},
        # In a Redis Cluster all masters may be replaced, and replaced again, in an update: all that is no flapping.
        {
            f'vsrt_redis_reconnects_total{{job="vsrt-node",instance="a",link="{link}"}}': f"3+0x20 4+0x10 5+0x{LONG}"
            for link in ("bus", "commands.c", "commands.0", "commands.1", "commands.2", "commands.3")
        },
    ),
    Case(
        "VsrtRedisSlow",
        times("db_client_operation_duration_seconds", 0.2, 'job="vsrt-node",db_operation_name="SET"'),
        times("db_client_operation_duration_seconds", 0.05, 'job="vsrt-node",db_operation_name="SET"'),
    ),
    Case(
        "VsrtCountersStale",
        {f'vsrt_cluster_stats_age_seconds{{instance="{instance}"}}': steady(9) for instance in "ab"},
        # One process without Redis: the others do it.
        {f'vsrt_cluster_stats_age_seconds{{instance="{i}"}}': steady(age) for i, age in (("a", 9), ("b", 0.2))},
    ),
    Case(
        "VsrtClockSkew",
        {'vsrt_redis_clock_offset_seconds{instance="a"}': f"-3+0x{LONG}"},
        {'vsrt_redis_clock_offset_seconds{instance="a"}': f"-1+0x{LONG}"},
    ),
    Case(
        "VsrtNoRouters",
        {'messaging_client_operation_duration_seconds_count{job="another",error_type=""}': steady(1)},
        {'messaging_client_operation_duration_seconds_count{job="vsrt-router",error_type=""}': steady(1)},
    ),
    Case(
        "VsrtNoRouters",
        targets(prod_node=1, dev_router=1, dev_node=1),
        targets(prod_router=1, prod_node=1, dev_router=1, dev_node=1),
    ),
    Case("VsrtNoRouters", targets(prod_router=0, dev_router=1), targets(prod_router=1, dev_router=1)),
    Case(
        "VsrtRouterDown",
        {'up{job="vsrt-router",instance="a"}': steady(0)},
        {'up{job="vsrt-router",instance="a"}': steady(1)},
    ),
    Case("VsrtPublishErrors", calls(status_202=10, status_503=1), calls(status_202=10, status_422=5)),
    Case(
        "VsrtPublishSlow",
        times("http_server_request_duration_seconds", 2, 'job="vsrt-router",http_request_method="POST"'),
        times("http_server_request_duration_seconds", 0.4, 'job="vsrt-router",http_request_method="POST"'),
    ),
    Case(
        "VsrtInboxDatabaseAway",
        {'vsrt_inbox_database_away{instance="a"}': steady(0), 'vsrt_inbox_database_away{instance="b"}': steady(1)},
        {'vsrt_inbox_database_away{instance="a"}': steady(0)},
    ),
    Case(
        "VsrtInboxEventsLost",
        {'vsrt_inbox_events_total{outcome="given_up"}': rising(1)},
        {
            'vsrt_inbox_events_total{outcome="given_up"}': steady(7),
            'vsrt_inbox_events_total{outcome="repeated"}': rising(1),
        },
    ),
    Case(
        "VsrtQueueLag",
        {f'vsrt_router_queue_lag_seconds{{instance="{instance}"}}': steady(90) for instance in "ab"},
        {f'vsrt_router_queue_lag_seconds{{instance="{instance}"}}': steady(40) for instance in "ab"},
    ),
    Case(
        "VsrtQueueSetAside",
        {'vsrt_router_queue_set_aside_total{instance="a",reason="invalid"}': f"0+0x30 1+0x{LONG}"},
        {'vsrt_router_queue_set_aside_total{instance="a",reason="invalid"}': steady(7)},
    ),
    Case(
        "VsrtQueueOverflow",
        {'vsrt_router_queue_given_up_total{instance="a"}': f"0+0x30 100+0x{LONG}"},
        {'vsrt_router_queue_given_up_total{instance="a"}': steady(100)},
    ),
]  # fmt: skip
