"""nginx and HAProxy with the configuration that we ship, in front of a cluster's nodes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.support.cluster import Node, socket_path
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ROOT, Process
from tests.support.waiting import until

_SHIPPED = ROOT / "docs/proxies"
_HERE = {"maxconn 20000": "maxconn 1000"}  # two descriptors each


class Proxy(Process):
    """A proxy of the tests' own; what differs from the shipped configuration is addresses and paths.

    Attributes:
        configuration: the file that it runs with.
    """

    def __init__(self, name: str, command: Sequence[str], configuration: Path, port: int, logs: list[Path]) -> None:
        super().__init__(name, command, {}, logs[0])
        self.port, self.configuration, self._logs = port, configuration, logs
        self.url = f"http://{LOOPBACK}:{port}"

    def socket_url(self, *, admin: bool = False, **query: str) -> str:
        return f"ws://{LOOPBACK}:{self.port}{socket_path(admin=admin, **query)}"

    def http(self, *, timeout: float = 60) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=timeout)

    async def start(self) -> None:
        self.launch()
        await until(self._listens, timeout=40)

    async def _listens(self) -> bool:
        assert self.running, f"{self.name} ended:\n{self.written()}"
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        writer.close()
        return True

    def written(self) -> str:
        """Return everything that it has logged."""
        return "".join(log.read_text(errors="replace") for log in self._logs if log.exists())


def _with_addresses(text: str, nodes: Sequence[Node]) -> str:
    """Put the nodes' addresses where the shipped configuration has examples; raise if it has another number."""
    for number, node in enumerate(nodes, 1):
        text, found = re.subn(rf"\bnode-{number}:8000\b", f"{LOOPBACK}:{node.port}", text)
        assert found == 1, f"node-{number}:8000 stands {found} times in the configuration"
    return text


def _replaced(text: str, **changes: str) -> str:
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the shipped configuration"
        text = text.replace(old, new)
    return text


def nginx(nodes: Sequence[Node], directory: Path, **changes: str) -> Proxy:
    """Make an nginx in front of nodes; ``changes`` are texts of its configuration and what takes their place."""
    directory.mkdir()
    port, access, errors = free_port(), directory / "access.log", directory / "error.log"
    server = _with_addresses((_SHIPPED / "nginx.conf").read_text(), nodes)
    server = _replaced(
        server,
        **{
            "listen 8000;": f"listen {LOOPBACK}:{port};",
            "/var/log/nginx/access.log": str(access),
            "/var/log/nginx/error.log": str(errors),
        },
        **changes,
    )
    scratch = "".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {directory}/pid; worker_processes 1; error_log stderr warn; user root;"
        f"events {{ worker_connections 1024; }} http {{ {scratch}\n{server} }}"
    )
    command = ["nginx", "-p", str(directory), "-c", str(configuration)]
    return Proxy("nginx", command, configuration, port, [directory / "output.log", access, errors])


def haproxy(nodes: Sequence[Node], directory: Path, **changes: str) -> Proxy:
    """Make an HAProxy in front of nodes; ``changes`` as in ``nginx``."""
    directory.mkdir()
    port = free_port()
    text = _with_addresses((_SHIPPED / "haproxy.cfg").read_text(), nodes)
    configuration = directory / "haproxy.cfg"
    configuration.write_text(_replaced(text, **_HERE, **{"bind :8000": f"bind {LOOPBACK}:{port}"}, **changes))
    command = ["haproxy", "-f", str(configuration)]
    return Proxy("haproxy", command, configuration, port, [directory / "output.log"])
