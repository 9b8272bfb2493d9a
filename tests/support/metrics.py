"""What a process tells Prometheus."""

from __future__ import annotations

from tests.support.cluster import Service


async def metric(service: Service, name: str, **labels: str) -> float:
    """Return a metric's value; of several series, that of the first with these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    for line in (await service.health("/metrics")).text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in wanted):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"{service.name} has no {name} of {labels}")
