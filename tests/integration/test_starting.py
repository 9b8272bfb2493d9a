"""What stops a service from starting is one clear line and an exit status; what it logs holds no secret."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Service
from tests.support.ports import LOOPBACK
from tests.support.redis_server import RedisServer

SHORT = "short"


@pytest.fixture
async def unstarted(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster of which nothing runs yet."""
    cluster = Cluster(redis_server, tmp_path)
    yield cluster
    await cluster.close()


async def refuses_to_start(service: Service, status: int) -> str:
    service.launch()
    assert await service.exit_status() == status
    (line,) = service.log().splitlines()
    return line


@pytest.mark.parametrize("kind", ["node", "router"])
async def test_a_port_in_use_is_one_line_and_status_1(unstarted: Cluster, kind: str) -> None:
    service = unstarted.add_node() if kind == "node" else unstarted.add_router()
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, service.port))
        squatter.listen()
        line = await refuses_to_start(service, 1)
    assert line.startswith(f"{kind}: ")
    assert str(service.port) in line
    assert "in use" in line


async def test_a_management_port_in_use_is_one_line_and_status_1(unstarted: Cluster) -> None:
    node = unstarted.add_node(LOG_LEVEL="CRITICAL")
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, node.health_port))
        squatter.listen()
        assert str(node.health_port) in await refuses_to_start(node, 1)


async def test_an_address_that_is_not_ours_is_one_line_and_status_1(unstarted: Cluster) -> None:
    assert "192.0.2.1" in await refuses_to_start(unstarted.add_node(NODE_HOST="192.0.2.1"), 1)


BOTH = [
    ("JWT_SECRET", {"JWT_SECRET": SHORT}),
    ("JWT_PUBLIC_KEY", {"JWT_SECRET": "", "JWT_PUBLIC_KEY": "not PEM"}),
    ("JWT_JWKS_URL", {"JWT_SECRET": "", "JWT_JWKS_URL": "ftp://example.com"}),
    ("JWT_PUBLIC_KEY", {"JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\\n"}),
    ("JWT_ALGORITHM", {"JWT_ALGORITHM": "RS256"}),
    ("JWT_ALGORITHM", {"JWT_ALGORITHM": "none"}),
    ("REDIS_URL", {"REDIS_URL": "localhost:6379"}),
    ("REDIS_PREFIX", {"REDIS_PREFIX": "with spaces"}),
    ("REDIS_PREFIX", {"REDIS_PREFIX": "{tag}"}),
    ("REDIS_TIMEOUT", {"REDIS_TIMEOUT": "0"}),
    ("HISTORY_LENGTH", {"HISTORY_LENGTH": "0"}),
    ("HISTORY_TTL", {"HISTORY_TTL": "soon"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "LOUD"}),
    ("LOG_FORMAT", {"LOG_FORMAT": "xml"}),
]
NODE = [
    ("JWT_SECRET", {"JWT_SECRET": ""}),
    ("NODE_PORT", {"NODE_PORT": "70000"}),
    ("NODE_NAME", {"NODE_NAME": "no spaces"}),
    ("NODE_MAX_CONNECTIONS", {"NODE_MAX_CONNECTIONS": "0"}),
    ("NODE_REUSE_PORT", {"NODE_REUSE_PORT": "perhaps"}),
    ("ROUTER_URL", {"ROUTER_URL": "router:8001"}),
    ("BACKEND_CORS_ORIGINS", {"BACKEND_CORS_ORIGINS": "admin.example.com"}),
    ("BACKEND_CORS_ORIGINS", {"BACKEND_CORS_ORIGINS": "https://admin.example.com/"}),
    ("BACKEND_CORS_ORIGINS", {"BACKEND_CORS_ORIGINS": '["https://admin.example.com"'}),
    ("HEARTBEAT_TIMEOUT", {"HEARTBEAT_TIMEOUT": "-1"}),
    ("DRAIN_SECONDS", {"DRAIN_SECONDS": "-1"}),
    ("USER_CHECK_URL", {"USER_CHECK_URL": "platform"}),
    ("USER_CHECK_STRANGERS", {"USER_CHECK_STRANGERS": "ignore"}),
]
ROUTER = [
    ("ROUTER_API_KEYS", {"ROUTER_API_KEYS": "", "JWT_SECRET": ""}),
    ("ROUTER_API_KEYS", {"ROUTER_API_KEYS": f"{'x' * 20},{SHORT}"}),
    ("ROUTER_PORT", {"ROUTER_PORT": "-1"}),
    ("HTTP_BODY_MAX_BYTES", {"HTTP_BODY_MAX_BYTES": "1"}),
]


@pytest.mark.parametrize(
    ("kind", "named", "settings"),
    [("node", *case) for case in BOTH + NODE] + [("router", *case) for case in BOTH[:6] + ROUTER],
)
async def test_a_wrong_setting_is_named_in_one_line_and_status_2(
    unstarted: Cluster, kind: str, named: str, settings: dict[str, str]
) -> None:
    # The ports stay the cluster's: a service is made with good settings, and then given the bad ones.
    service = unstarted.add_node() if kind == "node" else unstarted.add_router()
    service.env |= settings
    line = await refuses_to_start(service, 2)
    assert line.startswith(f"{kind}: ")
    assert named in line
    assert SHORT not in line.replace("shorter", ""), "a secret's value is never shown"


async def test_with_tokens_alone_or_keys_alone_a_router_starts(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=0, routers=0)
    with_tokens = await cluster.start_router(ROUTER_API_KEYS="")
    with_keys = await cluster.start_router(JWT_SECRET="")
    token = cluster.tokens.mint(sub="t", scope="read")
    assert (await with_tokens.get("stats", bearer=token)).status_code == 200
    assert (await with_tokens.get("stats")).status_code == 401
    assert (await with_keys.get("stats")).status_code == 200
    assert (await with_keys.get("stats", bearer=token)).status_code == 401


@pytest.mark.parametrize("kind", ["node", "router"])
async def test_propagators_that_are_not_installed_stop_no_start(unstarted: Cluster, kind: str) -> None:
    """A platform names them for all its services at once; the API raises for them from its import."""
    given = {"OTEL_PROPAGATORS": "tracecontext,baggage,b3,xray"}
    service = unstarted.add_node(**given) if kind == "node" else unstarted.add_router(**given)
    await service.start()
