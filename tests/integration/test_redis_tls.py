"""Redis behind TLS, with a certificate of an authority that only we know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import redis_tls
from tests.support.access_list import PREFIX, USER, write_access_list
from tests.support.certificates import Authority, Pair
from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that speaks TLS on one port, asks for a certificate there, and knows the shipped user."""

    server: RedisServer
    authority: Authority
    own: Pair
    settings: dict[str, str]


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    authority = Authority(tmp_path / "authority")
    theirs, own = authority.sign("server"), authority.sign("client")
    password, port = write_access_list(tmp_path / "acl.conf"), free_port()
    options, config = redis_tls.options(authority, theirs, port), tmp_path / "acl.conf"
    server = RedisServer(tmp_path / "redis", flavour="redis-server", config=config, options=options)
    await server.start()
    settings = {
        "REDIS_URL": f"rediss://{LOOPBACK}:{port}/0",
        **redis_tls.settings(authority, own),
        "REDIS_USERNAME": USER,
        "REDIS_PASSWORD": password,
        "REDIS_PREFIX": PREFIX,
    }
    yield Guarded(server, authority, own, settings)
    await server.end()


async def test_messages_go_through_a_redis_that_speaks_tls_to_known_clients(new_cluster, guarded: Guarded) -> None:
    cluster: Cluster = await new_cluster(nodes=2, redis=guarded.server, **guarded.settings)
    here, there = cluster.nodes
    large = "x" * 60_000  # more than a record of TLS, and than one read
    async with cluster.user("7", node=here) as phone, cluster.admin(node=there) as page:
        for _ in range(20):
            await cluster.router.send("all", {"type": "large", "text": large})
        for client in (phone, page):
            assert [event["text"] for event in await client.receive_many("large", 20)] == [large] * 20
    assert cluster.complaints() == []


async def test_a_connection_through_tls_that_breaks_comes_back(new_cluster, guarded: Guarded) -> None:
    cluster: Cluster = await new_cluster(redis=guarded.server, **guarded.settings)
    async with cluster.user("7") as phone:
        await guarded.server.kill()
        await until(lambda: "redis connection lost" in cluster.node.log())
        await guarded.server.start()

        async def sent() -> bool:
            body = {"audience": {"users": ["7"]}, "message": {"type": "after"}}
            return (await cluster.router.post("messages", body, key="after")).status_code == 202

        await until(sent)
        await phone.receive("after", timeout=15)


WRONG = [
    ("no authority", {"REDIS_CA_FILE": ""}, "CERTIFICATE_VERIFY_FAILED"),
    ("no certificate of ours", {"REDIS_CERT_FILE": "", "REDIS_KEY_FILE": ""}, "redis is away"),
    ("a name that is not in the certificate", {"REDIS_URL": "localhost"}, "CERTIFICATE_VERIFY_FAILED"),
]


@pytest.mark.parametrize(("what", "change", "said"), WRONG, ids=[what for what, *_ in WRONG])
async def test_a_wrong_way_to_tls_is_said_in_the_log(
    new_cluster, guarded: Guarded, what: str, change: dict[str, str], said: str
) -> None:
    if "REDIS_URL" in change:
        change = {"REDIS_URL": guarded.settings["REDIS_URL"].replace(LOOPBACK, change["REDIS_URL"])}
    cluster: Cluster = await new_cluster(nodes=0, routers=0, redis=guarded.server, **guarded.settings)
    # Time enough for a busy machine to get as far; and later attempts are told to those who look closely.
    node = cluster.add_node(**change, REDIS_TIMEOUT="9", LOG_LEVEL="DEBUG")
    node.launch()
    await until(lambda: said in node.log(), timeout=40)
    assert "redis is there" not in node.log()
