"""Every alert: when it fires, and when it must be silent."""

from __future__ import annotations

from tests.monitoring.node_alert_cases import CASES as OF_NODES
from tests.monitoring.series import LONG, Case, calls, connected, delivery, for_a_minute, rising, steady, targets, times

CASES = [
    *OF_NODES,
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
    Case("VsrtPublishErrors", calls(status_503=1), calls(status_202=10) | for_a_minute(calls(status_503=10))),
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
    # A fail-over of 25 s: nobody is woken for what has mended itself.
    Case(
        "VsrtRedisAway",
        {'vsrt_redis_connected{job="vsrt-node",instance="a",link="commands"}': f"1+0x20 0+0x{LONG}"},
        {'vsrt_redis_connected{job="vsrt-node",instance="a",link="commands"}': f"1+0x20 0 1+0x{LONG}"},
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
        connected(a=0, b=1) | {f'vsrt_cluster_stats_age_seconds{{instance="{i}"}}': steady(9) for i in "ab"},
        # One process without Redis: the others do it.
        connected(a=0, b=1)
        | {f'vsrt_cluster_stats_age_seconds{{instance="{i}"}}': steady(age) for i, age in (("a", 9), ("b", 0.2))},
    ),
    Case(
        "VsrtCountersStale",
        connected(a=1) | {'vsrt_cluster_stats_age_seconds{instance="a"}': steady(9)},
        # Redis is away, or a part of a Redis Cluster: that is another alert.
        connected(a=0) | {'vsrt_cluster_stats_age_seconds{instance="a"}': steady(9)},
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
    Case("VsrtProducersRefused", calls(status_202=10, status_401=1), calls(status_202=10, status_403=0.1)),
    Case("VsrtProducersRefused", calls(status_403=0.1), for_a_minute(calls(status_401=1))),
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
