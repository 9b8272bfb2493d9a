"""The queue of the SDK in a Redis Cluster: it finds the server that holds it, wherever it went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot
from videosite_realtime import ConfigurationError, Undelivered

from tests.sdk.queue_ways import KEY, SHORT, NewWay, address, both, connections, keys_on
from tests.support.certificates import Authority
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ROOT
from tests.support.redis_server import RedisServer
from tests.support.sentinels import command
from tests.support.shards import Shards
from tests.support.waiting import until

SLOT = key_slot(KEY.encode())


@asynccontextmanager
async def slots(directory: Path) -> AsyncIterator[Shards]:
    """Servers of which the second has the queue's slot, and the first those that do not matter."""
    ranges = ((SLOT + 2, 16383), (0, SLOT), (SLOT + 1, SLOT + 1))
    async with Shards(directory / "servers", ranges=ranges, replicas_of=()) as servers:
        yield servers


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Shards]:
    async with slots(tmp_path) as servers:
        yield servers


@both
async def test_a_message_finds_its_server_by_another_and_nothing_stays_open_afterwards(
    servers: Shards, way: NewWay
) -> None:
    first, second, _ = servers.servers
    queue = way(cluster_nodes=[f"{LOOPBACK}:{free_port()}", address(first)])  # one of them is not there
    keys = [await queue.append(number) for number in range(3)]
    assert await keys_on(second) == keys
    assert await connections(second) == 1
    await queue.close()
    await until(lambda: _none_open(servers))


async def _none_open(servers: Shards) -> bool:
    return sum([await connections(server) for server in servers.servers if server.running]) == 0


@both
async def test_threads_or_tasks_that_come_together_double_nothing(servers: Shards, way: NewWay) -> None:
    queue = way(cluster_nodes=[address(servers.servers[0])])
    keys = await asyncio.gather(*(queue.append(number) for number in range(20)))
    assert sorted(await keys_on(servers.servers[1])) == sorted(keys)
    await queue.close()
    await until(lambda: _none_open(servers))


@both
async def test_a_queue_that_moves_is_followed_and_what_comes_meanwhile_waits(tmp_path: Path, way: NewWay) -> None:
    """Until the slot is the new server's, the old one sends on who asks, and the new one sends back."""
    async with slots(tmp_path) as servers:
        old, new = servers.servers[1:]
        queue = way(cluster_nodes=[address(servers.servers[0])])
        keys = [await queue.append(0)]
        await servers.begin_move("c", new)
        appending = asyncio.create_task(queue.append(1))
        await asyncio.wait_for(queue.waits.wait(), 30)  # ASK
        await servers.end_move("c", new)
        keys.append(await appending)
        assert await keys_on(new) == keys
        queue.waits.clear()
        await servers.begin_move("c", old)
        await servers.end_move("c", old)
        keys.append(await queue.append(2))  # MOVED
        assert queue.waits.is_set()
        queue.waits.clear()
        keys.append(await queue.append(3))
        assert not queue.waits.is_set()
        assert await keys_on(old) == keys
        await queue.close()


@both
async def test_a_server_that_is_away_for_a_while_gets_every_message_once(servers: Shards, way: NewWay) -> None:
    first, second, _ = servers.servers
    queue = way(cluster_nodes=[address(first)])
    keys = [await queue.append(0)]
    await second.stop()
    appending = asyncio.create_task(queue.append(1))
    await asyncio.wait_for(queue.waits.wait(), 30)
    await second.start()
    keys.append(await appending)
    assert await keys_on(second) == keys


@both
async def test_a_cluster_that_is_not_there_is_told_at_the_deadline_and_leaves_nothing_open(
    servers: Shards, way: NewWay
) -> None:
    nobody = free_port()
    with pytest.raises(Undelivered, match=f"does not lead to the queue .127.0.0.1:{nobody}: .*"):
        await way(cluster_nodes=[f"{LOOPBACK}:{nobody}"], retry=SHORT).append(0)
    queue = way(cluster_nodes=[address(servers.servers[0])], retry=SHORT)
    await queue.append(0)
    await servers.servers[1].stop()
    with pytest.raises(Undelivered, match="Connection"):
        await queue.append(1)
    await queue.close()
    await until(lambda: _none_open(servers))


@both
async def test_a_server_that_is_no_cluster_is_named_as_such(redis_server: RedisServer, way: NewWay) -> None:
    with pytest.raises(Undelivered, match="cluster support disabled"):
        await way(cluster_nodes=[address(redis_server)], retry=SHORT).append(0)


@both
async def test_a_cluster_that_refuses_the_user_is_no_reason_to_try_again(servers: Shards, way: NewWay) -> None:
    nodes = [address(servers.servers[0])]
    with pytest.raises(ConfigurationError, match=r"QUEUE_URL is refused by Redis: .*username-password"):
        await way(url="redis://producer:wrong@", cluster_nodes=nodes).append(0)
    for server in servers.servers:
        await command(server, "ACL", "SETUSER", "producer", "on", ">secret", "~*", "+eval", "+xadd", "+xlen")
    with pytest.raises(ConfigurationError, match=r"permissions to run the 'cluster.slots"):
        await way(url="redis://producer:secret@", cluster_nodes=nodes).append(0)


@both
async def test_the_documented_user_may_append_and_nothing_else(servers: Shards, way: NewWay) -> None:
    (line,) = [line for line in (ROOT / "docs/queue.md").read_text().splitlines() if line.startswith("ACL SETUSER")]
    words = line.replace("vsrt", "sdk").replace(">…", ">secret").split()
    first, second, _ = servers.servers
    for server in servers.servers:
        await command(server, *words, "+cluster|slots")
        await command(server, "ACL", "LOG", "RESET")
    queue = way(url="redis://producer:secret@", cluster_nodes=[address(first)])
    key = await queue.append(0)
    assert await keys_on(second) == [key]
    denied = {entry["object"].lower() for entry in await command(second, "ACL", "LOG")}
    assert denied <= {"client|setinfo", "client|maint_notifications"}


@both
async def test_a_cluster_behind_tls_is_spoken_to_as_the_address_says(tmp_path: Path, way: NewWay) -> None:
    """redis-server whatever TEST_REDIS says: the embedded Valkey is built without TLS."""
    authority = Authority(tmp_path / "authority")
    theirs, port = authority.sign("server"), free_port()
    options = {
        "cluster-enabled": "yes",
        "cluster-port": str(free_port()),
        "tls-cluster": "yes",  # without it servers name each other's other port
        "tls-port": str(port),
        "tls-cert-file": str(theirs.cert),
        "tls-key-file": str(theirs.key),
        "tls-ca-cert-file": str(authority.file),
        "tls-auth-clients": "no",
    }
    server = RedisServer(tmp_path / "redis", flavour="redis-server", options=options)
    await server.start()
    try:
        await command(server, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        url = f"rediss://nowhere/0?ssl_ca_certs={authority.file}"
        queue = way(url=url, cluster_nodes=[f"{LOOPBACK}:{port}"])
        assert [await queue.append(0)] == await keys_on(server)
        await queue.close()
    finally:
        await server.end()
