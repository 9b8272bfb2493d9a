"""Alerts of nodes and of their connections: when each fires, and when it must be silent."""

from __future__ import annotations

from tests.monitoring.series import LONG, Case, for_a_minute, nodes, opened, refused, rising, steady, targets, times

CASES = [
    Case(
        "VsrtClientsCutOff",
        {'vsrt_node_stalled_clients_total{instance="a"}': rising(2)},
        for_a_minute({'vsrt_node_stalled_clients_total{instance="a"}': rising(30)}),
        at="40m",
    ),
    Case(
        "VsrtAuthFailures",
        refused(5) | opened(1),
        for_a_minute(refused(50)) | opened(1),
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
        {
            'vsrt_node_lease_age_seconds{instance="a"}': steady(7),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(1),
        },
        # Without Redis nobody can renew one: that is another alert.
        {
            'vsrt_node_lease_age_seconds{instance="a"}': steady(2.1),
            'vsrt_redis_connected{instance="a",link="commands"}': steady(1),
            'vsrt_node_lease_age_seconds{instance="b"}': steady(7),
            'vsrt_redis_connected{instance="b",link="commands"}': steady(0),
        },
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
        opened(1) | refused(5),
        opened(20) | refused(5),
    ),
    # A producer that routers refuse is no client that nodes refuse.
    Case(
        "VsrtAuthFailures",
        opened(1) | refused(5),
        opened(1) | refused(5, job="vsrt-router"),
    ),
]  # fmt: skip
