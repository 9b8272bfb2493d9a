"""What the cases of alerts are made of: series under which one fires, and the nearest under which it must be silent.

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


def refused(per_second: float, job: str = "vsrt-node") -> Series:
    return {f'vsrt_auth_failures_total{{job="{job}",instance="a",reason="token expired"}}': rising(per_second)}


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


def connected(**instances: int) -> Series:
    return {f'vsrt_redis_connected{{instance="{name}",link="commands"}}': steady(up) for name, up in instances.items()}
