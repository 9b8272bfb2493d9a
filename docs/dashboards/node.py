"""One node, or some: what it holds, whether it hears, what it costs."""

from __future__ import annotations

from docs.dashboards.board import board
from docs.dashboards.panels import (
    BYTES,
    NODE,
    OPS,
    PER_SECOND,
    SECONDS,
    SHARE,
    Panel,
    Query,
    dial,
    lines,
    percentiles,
    stat,
)

_RATE = "[$__rate_interval]"
_HERE = f'job="vsrt-node",{NODE}'


def _at_a_glance() -> list[Panel]:
    return [
        stat("Connections", "Open connections.", f"sum(vsrt_node_connections{{{NODE}}})"),
        stat("Users", "Distinct users here; on several nodes at once, a user counts on each.",
             f"sum(vsrt_node_users{{{NODE}}})"),
        dial("Room used", "Connections against the limit; the fullest, if there are several.",
             f"max(sum by (instance) (vsrt_node_connections{{{NODE}}}) / on (instance) "
             f"vsrt_node_connections_limit{{{NODE}}})",
             unit=SHARE, most=1, limits=(0.8, 0.95), alerts=["VsrtNodeFull"]),
        stat("Delivery p99", "From publish to the last socket write here.",
             percentiles(f"vsrt_node_delivery_duration_seconds_bucket{{{NODE}}}", of=(0.99,))[0].expr,
             unit=SECONDS, limits=(0.25, 0.5), alerts=["VsrtDeliverySlow"]),
        stat("Bus silence", "Since anything was heard; a probe comes every 3 s.",
             f"max(vsrt_node_bus_silence_seconds{{{NODE}}})", unit=SECONDS, limits=(7, 15), alerts=["VsrtNodeDeaf"]),
        stat("Lease age", "Since the lease was renewed; it lapses after 8 s.",
             f"max(vsrt_node_lease_age_seconds{{{NODE}}})", unit=SECONDS, limits=(4, 6), alerts=["VsrtLeaseOverdue"]),
        stat("Loop lag p99", "By how much everything in the process is late.",
             percentiles(f"vsrt_event_loop_lag_seconds_bucket{{{_HERE}}}", of=(0.99,))[0].expr,
             unit=SECONDS, limits=(0.1, 0.25), alerts=["VsrtEventLoopLag"]),
        stat("Uptime", "Since the process started; the youngest, if there are several.",
             f"min(process_uptime_seconds{{{_HERE}}})", unit=SECONDS),
        Panel("table", "Versions", "Which version runs where; a mixture is normal during a roll-out only.",
              [Query(f"count by (instance, service_instance_id, service_version) (target_info{{{_HERE}}})",
                     table=True)],
              width=24, height=5),
    ]  # fmt: skip


def _connections() -> list[Panel]:
    return [
        lines("Connections", "Open connections, by node and kind.",
              Query(f"vsrt_node_connections{{{NODE}}}", "{{instance}} {{kind}}")),
        lines("Opened", "Connections welcomed per second.",
              Query(f"sum by (instance) (rate(vsrt_node_opened_connections_total{{{NODE}}}{_RATE}))", "{{instance}}"),
              Query(f"sum(rate(vsrt_node_opened_streams_total{{{NODE}}}{_RATE}))", "event streams among them"),
              unit=PER_SECOND, alerts=["VsrtReconnectStorm"]),
        lines("Closed, by code", "What each code means is told in docs/troubleshooting.md.",
              Query(f"sum by (code) (rate(vsrt_node_closed_connections_total{{{NODE}}}{_RATE}))", "{{code}}"),
              unit=PER_SECOND, stacked=True),
        lines("Slow, and behind", "Clients whose buffer has not drained, and those that read history just now.",
              Query(f"sum(vsrt_node_slow_clients{{{NODE}}})", "slow"),
              Query(f"sum(vsrt_node_catching_up{{{NODE}}})", "reading history"),
              alerts=["VsrtSlowClients"]),
        lines("Cut off", "Clients that read nothing for SLOW_CLIENT_TIMEOUT.",
              Query(f"sum by (instance) (rate(vsrt_node_stalled_clients_total{{{NODE}}}{_RATE}))", "{{instance}}"),
              unit=PER_SECOND, alerts=["VsrtClientsCutOff"]),
        lines("Refused, by reason", "Handshakes that ended with a close code.",
              Query(f"sum by (code, reason) (rate(vsrt_node_refused_connections_total{{{NODE}}}{_RATE}))",
                    "{{code}} {{reason}}"), unit=PER_SECOND),
        lines("Polls", "Calls of clients without a connection, by what they brought; refused: too many of one user.",
              Query(f"sum by (outcome) (rate(vsrt_node_polls_total{{{NODE}}}{_RATE}))", "{{outcome}}"),
              unit=PER_SECOND, stacked=True),
    ]  # fmt: skip


def _messages() -> list[Panel]:
    return [
        lines("Messages from the bus", "For somebody here, whatever the number of sockets.",
              Query(f"sum by (audience) (rate(messaging_client_consumed_messages_total{{{NODE}}}{_RATE}))",
                    "{{audience}}"), unit=PER_SECOND, stacked=True, width=6),
        lines("Socket writes", "As the bus brought them, and from history.",
              Query(f"sum by (audience) (rate(vsrt_node_delivered_messages_total{{{NODE}}}{_RATE}))", "{{audience}}"),
              Query(f"sum(rate(vsrt_node_caught_up_messages_total{{{NODE}}}{_RATE}))", "from history"),
              unit=PER_SECOND, stacked=True, width=6),
        lines("Not written, by reason", "repeated, stale, expired, conflated.",
              Query(f"sum by (reason) (rate(vsrt_node_dropped_messages_total{{{NODE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=6),
        lines("Acknowledgements", "What browsers said of sampled messages they were asked about.",
              Query(f"sum by (outcome) (rate(vsrt_node_acknowledgements_total{{{NODE}}}{_RATE}))", "{{outcome}}"),
              unit=PER_SECOND, width=6),
    ]  # fmt: skip


def _bus() -> list[Panel]:
    return [
        lines("Bus silence", "Since anything was heard; a probe comes every 3 s, and after 6 s the node is deaf.",
              Query(f"vsrt_node_bus_silence_seconds{{{NODE}}}", "{{instance}}"),
              unit=SECONDS, width=6, limits=(7, 15), alerts=["VsrtNodeDeaf"]),
        lines("Lease age", "Renewed every 2 s; after 8 s others clear the node away.",
              Query(f"vsrt_node_lease_age_seconds{{{NODE}}}", "{{instance}}"),
              unit=SECONDS, width=6, limits=(4, 6), alerts=["VsrtLeaseOverdue", "VsrtNodeLost"]),
        lines("Gaps repaired", "Streams that read history, by what showed that something was missing.",
              Query(f"sum by (reason) (rate(vsrt_node_history_repairs_total{{{NODE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=6, alerts=["VsrtBusLossy"]),
        lines("What went wrong", "Events lost for good, subscriptions and leases lost, publishes that cannot be read.",
              Query(f"sum(increase(vsrt_node_resyncs_total{{{NODE}}}{_RATE}))", "resyncs"),
              Query(f"sum(increase(vsrt_node_bus_rebuilds_total{{{NODE}}}{_RATE}))", "subscribed anew"),
              Query(f"sum(increase(vsrt_node_leases_lost_total{{{NODE}}}{_RATE}))", "leases lost"),
              Query(f"sum(increase(vsrt_node_unreadable_envelopes_total{{{NODE}}}{_RATE}))", "unreadable"),
              width=6, alerts=["VsrtEventsLost", "VsrtUnreadableEnvelopes"]),
        lines("Leaving", "Which share of its clients a node that leaves has sent away.",
              Query(f"vsrt_node_drain_progress_ratio{{{NODE}}}", "{{instance}}"),
              unit=SHARE, width=12, most=1, alerts=["VsrtDrainCutShort"]),
        lines("Time of leaving", "Since it began, against DRAIN_SECONDS.",
              Query(f"vsrt_node_drain_time_seconds{{{NODE}}}", "{{instance}}"),
              Query(f"max(vsrt_node_drain_limit_seconds{{{NODE}}})", "limit"),
              unit=SECONDS, width=12, alerts=["VsrtDrainCutShort"]),
    ]  # fmt: skip


def _redis() -> list[Panel]:
    names = "{{db_operation_name}} {{db_stored_procedure_name}}"
    command = "db_operation_name, db_stored_procedure_name"
    return [
        lines("Slowest commands, p99", "From the command to its answer.",
              Query(f"topk(8, histogram_quantile(0.99, sum by ({command}, le) "
                    f"(rate(db_client_operation_duration_seconds_bucket{{{_HERE}}}{_RATE}))))", names),
              unit=SECONDS, alerts=["VsrtRedisSlow"]),
        lines("Commands", "Commands per second.",
              Query(f"sum by ({command}) (rate(db_client_operation_duration_seconds_count{{{_HERE}}}{_RATE}))", names),
              unit=OPS),
        lines("Reconnects", "Connections to Redis that were lost, by what they are for.",
              Query(f"sum by (instance, link) (increase(vsrt_redis_reconnects_total{{{_HERE}}}{_RATE}))",
                    "{{instance}} {{link}}"), alerts=["VsrtRedisFlapping", "VsrtRedisAway"]),
    ]  # fmt: skip


def _process() -> list[Panel]:
    return [
        lines("Processor", "Seconds of it per second: a node uses one core at most.",
              Query(f"sum by (instance, cpu_mode) (rate(process_cpu_time_seconds_total{{{_HERE}}}{_RATE}))",
                    "{{instance}} {{cpu_mode}}"), unit=SHARE, stacked=True, limits=(0.8,)),
        lines("Memory", "Resident memory.",
              Query(f"process_memory_usage_bytes{{{_HERE}}}", "{{instance}}"), unit=BYTES),
        lines("Open files", "Every connection is one.",
              Query(f"process_open_file_descriptor_count{{{_HERE}}}", "{{instance}}"),
              Query(f"min(vsrt_process_open_file_descriptor_limit{{{_HERE}}})", "limit"), alerts=["VsrtOpenFiles"]),
        lines("Loop lag", "By how much a timer was late, four times a second: everything waits for as long.",
              *percentiles(f"vsrt_event_loop_lag_seconds_bucket{{{_HERE}}}", "instance", of=(0.5, 0.99)),
              unit=SECONDS, limits=(0.25,), alerts=["VsrtEventLoopLag"]),
        lines("Garbage collections", "The oldest generation's stop the loop; they are made rare on purpose.",
              Query(f"sum by (instance, cpython_gc_generation) "
                    f"(increase(cpython_gc_collections_total{{{_HERE}}}{_RATE}))",
                    "{{instance}} generation {{cpython_gc_generation}}")),
        lines("HTTP requests, p99", "The page, probes and scrapes, the inbox; not those that may wait for events.",
              *percentiles(f'http_server_request_duration_seconds_bucket{{{_HERE},http_route!~"/api/v1/events.*"}}',
                           "http_route", of=(0.99,)),
              unit=SECONDS),
    ]  # fmt: skip


def node() -> str:
    return board(
        "node",
        "VideoSite Realtime: node",
        "What a node holds, whether it hears, what it costs.",
        [
            ("At a glance", _at_a_glance()),
            ("Connections", _connections()),
            ("Messages", _messages()),
            ("Bus, lease, leaving", _bus()),
            ("Redis", _redis()),
            ("Process", _process()),
        ],
        instances_of="vsrt_node_connections",
    )
