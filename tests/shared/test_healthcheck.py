"""The check of container engines: it asks the port of whatever runs in the container."""

from __future__ import annotations

import pytest

from shared.healthcheck import problem, readiness_url
from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK, free_port


@pytest.mark.parametrize(
    ("words", "environ", "port"),
    [
        (("python", "-m", "node"), {}, 8000),
        (("python", "-m", "node"), {"NODE_PORT": "8080", "NODE_MANAGEMENT_PORT": ""}, 8080),
        (("python", "-m", "node"), {"NODE_PORT": "8080", "NODE_MANAGEMENT_PORT": "9000", "ROUTER_PORT": "1"}, 9000),
        (("python", "-m", "router"), {}, 8001),
        (("python", "-m", "router"), {"ROUTER_PORT": "8080", "NODE_PORT": "1"}, 8080),
        (("/sbin/docker-init", "--", "python", "-m", "router"), {}, 8001),
    ],
)
def test_the_first_process_tells_what_to_ask(words: tuple[str, ...], environ: dict[str, str], port: int) -> None:
    command_line = b"".join(word.encode() + b"\0" for word in words)
    assert readiness_url(command_line, environ) == f"http://127.0.0.1:{port}/readyz"


def test_a_port_where_nobody_answers_is_a_problem() -> None:
    assert "refused" in (problem(f"http://{LOOPBACK}:{free_port()}/readyz") or "")


async def test_a_service_is_asked_and_what_it_says_is_the_problem(new_cluster) -> None:
    cluster: Cluster = await new_cluster()
    url = f"http://{LOOPBACK}:{cluster.node.health_port}"
    assert problem(f"{url}/readyz") is None
    assert problem(f"{url}/nothing") == '{"detail":"Not Found"}'
