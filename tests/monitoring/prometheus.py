"""A real Prometheus that scrapes a cluster, with our rules."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.cluster import Node, Router
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process
from tests.support.waiting import until

EVERY = "1s"  # between two scrapes, and two evaluations of the rules; what a scrape may take


class Prometheus(Process):
    """Debian's, on a port of its own, with its data in a folder of its own."""

    def __init__(
        self, directory: Path, nodes: Iterable[Node], routers: Iterable[Router], rules: Iterable[Path]
    ) -> None:
        config, port = directory / "prometheus.yml", free_port()
        config.write_text(yaml.safe_dump(_config(nodes, routers, rules)))
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=warn",
            "--enable-feature=exemplar-storage",
        ]
        super().__init__("prometheus", command, {}, directory / "prometheus.log")
        self._http = httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=30)
        self._began = time.time()

    async def start(self) -> None:
        self.launch()
        await until(self._ready, timeout=60)

    async def _ready(self) -> bool:
        assert self.running, self.log_tail()
        try:
            return (await self._http.get("/-/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def close(self) -> None:
        await self._http.aclose()
        await self.end()

    async def targets_up(self) -> int:
        return int(sum(await self.values("up")))

    async def values(self, expr: str) -> list[float]:
        """Return what a query yields now, without what is no number."""
        found = await self._ask("query", query=expr)
        return [float(series["value"][1]) for series in found if not math.isnan(float(series["value"][1]))]

    async def drawn(self, expr: str) -> list[list[float]]:
        """Return the lines that a panel would draw of all that it has seen, without what is no number."""
        found = await self._ask("query_range", query=expr, start=self._began, end=time.time(), step=1)
        lines = [[float(value) for _, value in series["values"]] for series in found]
        return [drawn for line in lines if (drawn := [value for value in line if not math.isnan(value)])]

    async def traces(self, expr: str) -> set[str]:
        """Return the ids of the traces that stand as examples for what a query reads."""
        found = await self._answer("query_exemplars", query=expr, start=self._began, end=time.time() + 60)
        return {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    async def _ask(self, how: str, **query: Any) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = (await self._answer(how, **query))["result"]
        return result

    async def _answer(self, how: str, **query: Any) -> Any:
        answer = await self._http.get(f"/api/v1/{how}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def _config(nodes: Iterable[Node], routers: Iterable[Router], rules: Iterable[Path]) -> dict[str, Any]:
    jobs = {"vsrt-node": nodes, "vsrt-router": routers}
    return {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [f"{LOOPBACK}:{service.health_port}" for service in services]}],
            }
            for job, services in jobs.items()
        ],
    }
