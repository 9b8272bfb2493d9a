"""The cluster at one look: whether everybody is connected, everything arrives, and there is room."""

from __future__ import annotations

from docs.dashboards.board import board
from docs.dashboards.panels import (
    BYTES,
    HERE,
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
    states,
)

_RATE = "[$__rate_interval]"
_CALLS = f'job="vsrt-router",http_request_method="POST",{HERE}'


def _at_a_glance() -> list[Panel]:
    return [
        stat("Connections", "Open connections of all nodes.", f"sum(vsrt_node_connections{{{HERE}}})"),
        stat("Users", "Distinct users, as the registry counts them.", f"max(vsrt_cluster_users{{{HERE}}})"),
        stat("Nodes", "Nodes that answer Prometheus.", f'sum(up{{job="vsrt-node",{HERE}}})',
             limits=(2, 1), alerts=["VsrtNodeDown", "VsrtNoNodes"]),
        stat("Routers", "Routers that answer Prometheus.", f'sum(up{{job="vsrt-router",{HERE}}})',
             limits=(2, 1), alerts=["VsrtRouterDown", "VsrtNoRouters"]),
        dial("Capacity used", "Connections against what all nodes take together.",
             f"max(vsrt:capacity:ratio{{{HERE}}})",
             unit=SHARE, most=1, limits=(0.7, 0.8), alerts=["VsrtCapacity", "VsrtNodeFull"]),
        stat("Delivery p99", "From publish to socket write, of the last 2 minutes.",
             f"max(vsrt:delivery_duration_seconds:p99_2m{{{HERE}}})",
             unit=SECONDS, limits=(0.25, 0.5), alerts=["VsrtDeliverySlow"]),
        stat("Failed publishes", "Share of the publishing calls answered with 5xx.",
             f"max(vsrt:publish_errors:ratio2m{{{HERE}}})",
             unit=SHARE, limits=(0.001, 0.01), alerts=["VsrtPublishErrors"]),
        stat("Alerts", "Alerts of ours that fire just now.",
             'count(ALERTS{alertname=~"Vsrt.+",alertstate="firing"}) or vector(0)', limits=(1, 3)),
    ]  # fmt: skip


def _connections() -> list[Panel]:
    return [
        lines("Connections", "Open connections, of users and of admins.",
              Query(f"sum by (kind) (vsrt_node_connections{{{HERE}}})", "{{kind}}"), stacked=True),
        lines("By node", "How they are spread: a node that holds far more than others was there before them.",
              Query(f"sum by (instance) (vsrt_node_connections{{{HERE}}})", "{{instance}}"), alerts=["VsrtImbalance"]),
        Panel("bargauge", "Room", "Connections against each node's limit.",
              [Query(f"sum by (instance) (vsrt_node_connections{{{HERE}}}) / on (instance) "
                     f"vsrt_node_connections_limit{{{HERE}}}", "{{instance}}")],
              unit=SHARE, most=1, limits=(0.8, 0.95), alerts=["VsrtNodeFull"]),
        lines("Opened", "Connections welcomed per second. A peak that no deploy explains is a reconnect storm.",
              Query(f"sum by (kind) (rate(vsrt_node_opened_connections_total{{{HERE}}}{_RATE}))", "{{kind}}"),
              unit=PER_SECOND, alerts=["VsrtReconnectStorm"]),
        lines("Closed, by code", "1000, 1001: the client left. 1006: without a word. 1012: drained. 4401: token. "
              "4408: no heartbeat.",
              Query(f"sum by (code) (rate(vsrt_node_closed_connections_total{{{HERE}}}{_RATE}))", "{{code}}"),
              unit=PER_SECOND, stacked=True),
        lines("Refused, by reason", "Handshakes that ended with a close code.",
              Query(f"sum by (code, reason) (rate(vsrt_node_refused_connections_total{{{HERE}}}{_RATE}))",
                    "{{code}} {{reason}}"), unit=PER_SECOND, alerts=["VsrtNodeFull", "VsrtAuthFailures"]),
    ]  # fmt: skip


def _messages() -> list[Panel]:
    return [
        lines("Published", "Messages that routers took, by type; one to admins and its owner counts twice.",
              Query(f"sum by (type) (rate(messaging_client_sent_messages_total{{{HERE}}}{_RATE}))", "{{type}}"),
              unit=PER_SECOND, stacked=True),
        lines("Delivered", "Socket writes, by audience; from history, to who was behind, beside them.",
              Query(f"sum by (audience) (rate(vsrt_node_delivered_messages_total{{{HERE}}}{_RATE}))", "{{audience}}"),
              Query(f"sum(rate(vsrt_node_caught_up_messages_total{{{HERE}}}{_RATE}))", "from history"),
              unit=PER_SECOND, stacked=True),
        lines("Not written, by reason", "repeated: here already. stale: a newer state stands. expired: too late. "
              "conflated: a slow client gets the newest later.",
              Query(f"sum by (reason) (rate(vsrt_node_dropped_messages_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND),
    ]  # fmt: skip


def _trouble() -> list[Panel]:
    return [
        lines("Gaps repaired, by what showed them", "Streams that read history because the bus had left something out.",
              Query(f"sum by (reason) (rate(vsrt_node_history_repairs_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=6, alerts=["VsrtBusLossy"]),
        lines("Lost for good", "Times connected clients were told that history no longer has what they missed.",
              Query(f"sum(increase(vsrt_node_resyncs_total{{{HERE}}}{_RATE}))", "resyncs"),
              width=6, alerts=["VsrtEventsLost"]),
        lines("Catch-ups", "Clients that came back and got what they missed, came too late, or were slow.",
              Query(f"sum by (reason) (rate(vsrt_node_catch_ups_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=6),
        lines("Slow clients", "Clients that do not take what is sent, and those that were cut off for it.",
              Query(f"sum(vsrt_node_slow_clients{{{HERE}}})", "slow now"),
              Query(f"sum(rate(vsrt_node_stalled_clients_total{{{HERE}}}{_RATE}))", "cut off per second"),
              width=6, alerts=["VsrtSlowClients", "VsrtClientsCutOff"]),
        states("Deaf or leaving", "A node that hears nothing, and one that sends its clients away.",
               Query(f"2 * max by (instance) (vsrt_node_deaf{{{HERE}}}) + "
                     f"max by (instance) (vsrt_node_draining{{{HERE}}})", "{{instance}}"),
               {0: ("serves", "green"), 1: ("leaves", "purple"), 2: ("deaf", "red"), 3: ("deaf, leaves", "red")},
               alerts=["VsrtNodeDeaf"]),
        lines("Nodes that died", "Nodes that ended without leaving, or before all had left, and the clients they had.",
              Query(_seen_by_all("vsrt_cluster_dead_nodes_total"), "nodes, {{state}}"),
              Query(_seen_by_all("vsrt_cluster_dead_nodes_connections_total"), "clients, {{state}}"),
              alerts=["VsrtNodeLost", "VsrtDrainCutShort"]),
        lines("Refused callers, by reason", "Without a valid token, or not allowed to do what they asked for.",
              Query(f"sum by (job, reason) (rate(vsrt_auth_failures_total{{{HERE}}}{_RATE}))", "{{job}} {{reason}}"),
              unit=PER_SECOND, alerts=["VsrtAuthFailures", "VsrtProducersRefused"]),
    ]  # fmt: skip


def _seen_by_all(counter: str) -> str:
    """Return how much a counter rose of which every process tells the whole cluster's value."""
    return f"sum by (state) (max by (namespace, state) (increase({counter}{{{HERE}}}{_RATE})))"


def _routers() -> list[Panel]:
    return [
        lines("Publishing calls, by status", "202 and 200: taken. 401, 403: no valid credential, or not the right. "
              "409: a key with another body. 503: Redis was away.",
              Query(f"sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count"
                    f"{{{_CALLS}}}{_RATE}))", "{{http_response_status_code}}"),
              unit=PER_SECOND, stacked=True, alerts=["VsrtPublishErrors", "VsrtProducersRefused"]),
        lines("Time of publishing calls", "As the routers see it, from the request's first byte to the answer's end.",
              *percentiles(f"http_server_request_duration_seconds_bucket{{{_CALLS}}}", exemplars=True),
              unit=SECONDS, alerts=["VsrtPublishSlow"]),
        lines("Requests, by route", "All calls of the routers, probes and scrapes among them.",
              Query(f"sum by (http_route) (rate(http_server_request_duration_seconds_count"
                    f'{{job="vsrt-router",{HERE}}}{_RATE}))', "{{http_route}}"), unit=PER_SECOND),
        lines("Batch size", "Messages per batch.",
              *percentiles(f"vsrt_router_batch_size_bucket{{{HERE}}}", of=(0.5, 0.95)), width=6),
        lines("Refused items of batches", "409: key reused. 413: too large. 422: invalid.",
              Query(f"sum by (status) (rate(vsrt_router_refused_items_total{{{HERE}}}{_RATE}))", "{{status}}"),
              unit=PER_SECOND, width=6),
        lines("Repeated calls", "Keys that were known: the first answer is given again, nothing is sent twice.",
              Query(f"sum by (outcome) (rate(vsrt_router_known_keys_total{{{HERE}}}{_RATE}))", "{{outcome}}"),
              unit=PER_SECOND, width=6),
        lines("Answered 503", "Calls that Redis did not do; the SDK repeats them.",
              Query(f"sum by (reason) (rate(vsrt_router_unavailable_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=6, alerts=["VsrtPublishErrors", "VsrtRedisAway"]),
    ]  # fmt: skip


def _queue() -> list[Panel]:
    return [
        lines("Lag", "Age of the oldest message that waits for a router: 0, or a moment, as long as one reads.",
              Query(f"max(vsrt_router_queue_lag_seconds{{{HERE}}})", "oldest"),
              unit=SECONDS, width=6, limits=(10, 60), alerts=["VsrtQueueLag"]),
        lines("Messages in the queue", "Pending ones were taken by a router and are not published yet.",
              Query(f"max by (state) (vsrt_router_queue_entries{{{HERE}}})", "{{state}}"),
              width=6, stacked=True, alerts=["VsrtQueueLag", "VsrtQueueOverflow"]),
        lines("Taken and published", "Taken more often than published: batches had to be tried again.",
              Query(f"sum(rate(vsrt_router_queue_read_total{{{HERE}}}{_RATE}))", "taken"),
              Query(f"sum(rate(vsrt_router_queue_accepted_total{{{HERE}}}{_RATE}))", "published"),
              unit=PER_SECOND, width=6),
        lines("Set aside, by reason", "Messages that cannot be published, and those given up: the queue was too long.",
              Query(f"sum by (reason) (rate(vsrt_router_queue_set_aside_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              Query(f"sum(rate(vsrt_router_queue_given_up_total{{{HERE}}}{_RATE}))", "given up"),
              unit=PER_SECOND, width=6, alerts=["VsrtQueueSetAside", "VsrtQueueOverflow"]),
        states("Who reads", "One router at a time; another follows within seconds.",
               Query(f"max by (instance) (vsrt_router_queue_turn{{{HERE}}})", "{{instance}}"),
               {0: ("waits", "blue"), 1: ("reads", "green")}, width=12, alerts=["VsrtQueueLag"]),
        lines("Tried again, by why", "Times Redis did not answer or refused when the queue was read or published from.",
              Query(f"sum by (reason) (rate(vsrt_router_queue_failures_total{{{HERE}}}{_RATE}))", "{{reason}}"),
              unit=PER_SECOND, width=12, alerts=["VsrtQueueLag", "VsrtRedisAway"]),
    ]  # fmt: skip


def _redis() -> list[Panel]:
    jobs = f'job=~"vsrt-node|vsrt-router",{HERE}'
    command = "db_operation_name, db_stored_procedure_name"
    names = "{{db_operation_name}} {{db_stored_procedure_name}}"
    return [
        states("Connections to Redis", "Each process holds one for commands, a node another that listens.",
               Query(f"min by (job, instance, link) (vsrt_redis_connected{{{HERE}}})", "{{instance}} {{link}}"),
               {0: ("away", "red"), 1: ("up", "green")}, alerts=["VsrtRedisAway", "VsrtRedisFlapping"]),
        lines("Slowest commands, p99", "From the command to its answer, as the processes see it.",
              Query(f"topk(8, histogram_quantile(0.99, sum by ({command}, le) "
                    f"(rate(db_client_operation_duration_seconds_bucket{{{jobs}}}{_RATE}))))", names),
              unit=SECONDS, alerts=["VsrtRedisSlow"]),
        lines("Commands", "Commands per second, by command and script.",
              Query(f"sum by ({command}) (rate(db_client_operation_duration_seconds_count{{{jobs}}}{_RATE}))", names),
              unit=OPS),
        lines("Age of the counters", "One process adds the cluster's counters up, four times a second.",
              Query(f"max(vsrt_cluster_stats_age_seconds{{{HERE}}})", "age"),
              unit=SECONDS, width=6, limits=(1, 5), alerts=["VsrtCountersStale"]),
        lines("Registry and nodes", "Connections as nodes hold them and as the registry counts them: the same within a "
              "second.",
              Query(f"sum(vsrt_node_connections{{{HERE}}})", "nodes"),
              Query(f"sum(max by (kind) (vsrt_cluster_connections{{{HERE}}}))", "registry"), width=6),
        lines("Clocks", "By how much Redis's clock is ahead of each host's.",
              Query(f"vsrt_redis_clock_offset_seconds{{{HERE}}}", "{{instance}}"),
              unit=SECONDS, width=6, least=None, alerts=["VsrtClockSkew"]),
        lines("Memory of all processes", "Resident memory; a connection costs some 5 KiB.",
              Query(f"sum by (job) (process_memory_usage_bytes{{{jobs}}})", "{{job}}"), unit=BYTES, width=6),
        lines("Traces", "Spans per second, by what became of them: dropped found no room to wait for the collector, "
              "failed was not taken by it.",
              Query(f"sum by (outcome) (rate(vsrt_traces_spans_total{{{HERE}}}{_RATE}))", "{{outcome}}"),
              unit=OPS, width=24),
    ]  # fmt: skip


def _inbox() -> list[Panel]:
    return [
        lines("Archived", "Events per second that reached the inbox's database, or did not.",
              Query(f"sum by (outcome) (rate(vsrt_inbox_events_total{{{HERE}}}{_RATE}))", "{{outcome}}"),
              unit=PER_SECOND, alerts=["VsrtInboxEventsLost"]),
        lines("Archive lag", "From publish to commit, of the oldest event of each router's last batch.",
              Query(f"vsrt_inbox_lag_seconds{{{HERE}}}", "{{instance}}"), unit=SECONDS),
        states("Inbox database", "Whether it takes what waits for it. While it does not, everything else goes on.",
               Query(f"max by (instance) (vsrt_inbox_database_away{{{HERE}}})", "{{instance}}"),
               {0: ("takes all", "green"), 1: ("away", "red")}, width=8, alerts=["VsrtInboxDatabaseAway"]),
        lines("Batches not taken", "Tried again until they are.",
              Query(f"sum by (instance) (rate(vsrt_inbox_failures_total{{{HERE}}}{_RATE}))", "{{instance}}"),
              unit=PER_SECOND, width=8, alerts=["VsrtInboxDatabaseAway"]),
        lines("Removed", "Notifications that were over, or older than INBOX_RETENTION_DAYS.",
              Query(f"sum(rate(vsrt_inbox_removed_total{{{HERE}}}{_RATE}))", "removed"), unit=PER_SECOND, width=8),
    ]  # fmt: skip


def cluster() -> str:
    return board(
        "cluster",
        "VideoSite Realtime: cluster",
        "Is everybody connected, does everything arrive, is there room?",
        [
            ("At a glance", _at_a_glance()),
            ("Connections", _connections()),
            ("Messages", _messages()),
            ("Signs of trouble", _trouble()),
            ("Routers", _routers()),
            ("The queue", _queue()),
            ("Redis and the registry", _redis()),
            ("Inbox", _inbox()),
        ],
    )
