"""The queue of the SDK behind Sentinels and in a Redis Cluster: it finds the server that has it, wherever it went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from redis.crc import key_slot
from videosite_realtime import ConfigurationError, RetryPolicy, Undelivered
from videosite_realtime._queue_access import Given, QueueAccess, Sentinels
from videosite_realtime._queue_client import CLIENT_NAME
from videosite_realtime.queue import NotificationQueue
from videosite_realtime.sync_queue import SyncNotificationQueue

from tests.support.certificates import Authority
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ROOT
from tests.support.redis_server import RedisServer
from tests.support.sentinels import MASTER, Sentinel, Watched, command
from tests.support.shards import Shards
from tests.support.waiting import until

KEY = "sdk:queue:{c}"
SLOT = key_slot(KEY.encode())
SHORT = RetryPolicy(deadline=0.3)
PATIENT = RetryPolicy(first_delay=0.05, longest_delay=0.2)


class Way:
    """Either queue, called in the same way; it tells when it has begun to wait for another attempt."""

    def __init__(self, kind: str, **given: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.waits = asyncio.Event()
        given = {"prefix": "sdk", "retry": PATIENT, **given}
        self._queue: Any
        if kind == "async":
            self._queue = NotificationQueue(sleep=self._sleep, **given)
        else:
            self._queue = SyncNotificationQueue(sleep=self._block, **given)

    async def append(self, number: int) -> str:
        """Append a message; returns its key."""
        message = {"type": "numbered", "n": number}
        if isinstance(self._queue, NotificationQueue):
            return (await self._queue.broadcast(message)).idempotency_key
        return (await asyncio.to_thread(self._queue.broadcast, message)).idempotency_key

    async def close(self) -> None:
        await (
            self._queue.aclose() if isinstance(self._queue, NotificationQueue) else asyncio.to_thread(self._queue.close)
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.set()
        await asyncio.sleep(seconds)

    def _block(self, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self._sleep(seconds), self._loop).result()


both = pytest.mark.parametrize("kind", ["async", "sync"])
NewWay = Callable[..., Way]


@pytest.fixture
async def way(kind: str) -> AsyncIterator[NewWay]:
    made: list[Way] = []

    def make(**given: Any) -> Way:
        made.append(Way(kind, **given))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def address(server: RedisServer) -> str:
    return f"{LOOPBACK}:{server.port}"


async def keys_on(server: RedisServer) -> list[str]:
    """Return the keys of the messages that a server has, whether the slot is its own or not."""
    async with redis.Redis(host=LOOPBACK, port=server.port, decode_responses=True) as client:
        return [fields["key"] for _, fields in await client.xrange(KEY)]


async def connections(server: RedisServer) -> int:
    return (await command(server, "CLIENT", "LIST")).count(f"name={CLIENT_NAME} ")


# --- a Redis Cluster


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
        await asyncio.wait_for(queue.waits.wait(), 10)  # ASK
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
    await asyncio.wait_for(queue.waits.wait(), 10)
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


# --- Sentinels


@asynccontextmanager
async def watched(directory: Path, **more: Any) -> AsyncIterator[Watched]:
    async with Watched(directory / "watched", **more) as servers:
        yield servers


def sentinels_of(servers: Watched) -> dict[str, Any]:
    hosts = [f"{LOOPBACK}:{sentinel.port}" for sentinel in servers.sentinels]
    return {"sentinels": hosts, "sentinel_master": MASTER}


async def test_a_master_that_dies_is_followed_by_another_and_every_message_arrives_once(tmp_path: Path) -> None:
    async with watched(tmp_path) as servers:
        ways = [Way(kind, **sentinels_of(servers)) for kind in ("async", "sync")]
        keys = [await each.append(0) for each in ways]
        old = await servers.master()
        assert await keys_on(old) == keys
        await servers.in_step(old)
        await old.kill()
        appending = [asyncio.create_task(each.append(1)) for each in ways]
        for each in ways:
            await asyncio.wait_for(each.waits.wait(), 10)
        new = await servers.promoted(old)
        keys += await asyncio.gather(*appending)
        assert sorted(await keys_on(new)) == sorted(keys)
        for each in ways:
            await each.close()
        assert await connections(new) == 0


@both
async def test_a_server_that_turned_read_only_loses_the_connection(tmp_path: Path, way: NewWay) -> None:
    """Sentinels cut such connections as well; this is for when they could not."""
    async with watched(tmp_path, sentinels=1) as servers:
        queue = way(**sentinels_of(servers))
        first, second = servers.servers
        keys = [await queue.append(0)]
        await servers.in_step(first)
        await servers.sentinels[0].ask("SENTINEL", "REMOVE", MASTER)
        await command(second, "REPLICAOF", "NO", "ONE")
        await command(first, "REPLICAOF", LOOPBACK, str(second.port))
        appending = asyncio.create_task(queue.append(1))
        await asyncio.wait_for(queue.waits.wait(), 10)
        await servers.sentinels[0].ask("SENTINEL", "MONITOR", MASTER, LOOPBACK, str(second.port), "1")
        keys.append(await appending)
        assert await keys_on(second) == keys
        await queue.close()


async def test_no_sentinel_is_forgotten_however_many_tasks_ask_at_once(tmp_path: Path) -> None:
    async with watched(tmp_path, sentinels=1) as servers:
        late = Sentinel(tmp_path / "late", servers.servers[0].port, 1)
        hosts = [f"{LOOPBACK}:{late.port}", *sentinels_of(servers)["sentinels"]]
        queue = Way("async", sentinels=hosts, sentinel_master=MASTER)
        await asyncio.gather(*(queue.append(number) for number in range(10)))
        late.launch()
        try:
            await until(lambda: _knows(late))
            await servers.sentinels[0].kill()
            await command(servers.servers[0], "CLIENT", "KILL", "TYPE", "normal")
            await queue.append(10)
            assert len(set(await keys_on(servers.servers[0]))) == 11
        finally:
            await queue.close()
            await late.end()


async def _knows(sentinel: Sentinel) -> bool:
    try:
        return bool(await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER))
    except redis.RedisError:
        return False


@both
async def test_sentinels_that_know_no_such_master_are_told_at_the_deadline(tmp_path: Path, way: NewWay) -> None:
    async with watched(tmp_path, sentinels=1) as servers:
        queue = way(**{**sentinels_of(servers), "sentinel_master": "another"}, retry=SHORT)
        with pytest.raises(Undelivered, match="No master found for 'another'"):
            await queue.append(0)
        await queue.close()


# --- what is set


def found(environ: dict[str, str] | None = None, **given: Any) -> QueueAccess:
    return QueueAccess.find(Given(**given), environ or {})


CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINELS": "b"}, "QUEUE_CLUSTER_NODES and QUEUE_SENTINELS are both set"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "unix:///run/redis"}, "QUEUE_URL cannot be unix://"),
    ({"QUEUE_SENTINELS": "a", "QUEUE_URL": "unix:///run/redis"}, "QUEUE_SENTINELS tells host and port"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "redis://:secret@b/3"}, "another database than 0"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "redis://:secret@b:port"}, "QUEUE_URL cannot be read"),
    ({"QUEUE_CLUSTER_NODES": "a:6379,b:port"}, "QUEUE_CLUSTER_NODES has something that is not host:port: 'b:port'"),
    ({"QUEUE_CLUSTER_NODES": "redis://:secret@a"}, "not host:port"),
    ({"QUEUE_SENTINELS": "me:secret@a"}, "QUEUE_SENTINELS has something that is not host:port: 'a'"),
    ({"QUEUE_URL": "redis://a", "QUEUE_SENTINEL_MASTER": "m"}, "QUEUE_SENTINEL_MASTER is set without QUEUE_SENTINELS"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINEL_PASSWORD": "secret"}, "is set without QUEUE_SENTINELS"),
]


@pytest.mark.parametrize(("environ", "said"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_named_without_their_secrets(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        found(environ)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_CLUSTER_NODES is a list of host:port, not one text: 'a:1,b:2'"):
        found(cluster_nodes="a:1,b:2")


def test_servers_and_sentinels_have_their_usual_ports_unless_they_name_another() -> None:
    access = found({"QUEUE_CLUSTER_NODES": "redis-0.redis, b:7001,[::1]:2"})
    assert access.asked == (("redis-0.redis", 6379), ("b", 7001), ("::1", 2))
    environ = {"QUEUE_SENTINELS": "a,b:26380", "QUEUE_SENTINEL_MASTER": "m", "QUEUE_SENTINEL_PASSWORD": "secret"}
    assert found(environ).sentinels == Sentinels((("a", 26379), ("b", 26380)), "m", "secret")
    assert found({"QUEUE_SENTINELS": "a"}).sentinels == Sentinels((("a", 26379),), "mymaster", None)
    assert "secret" not in repr(found(environ))


def test_an_address_tells_tls_and_the_user_and_nothing_of_where() -> None:
    url = "rediss://me:p%40ss@nowhere:1/0?ssl_ca_certs=/etc/ca.crt"
    options = {"username": "me", "password": "p@ss", "db": 0, "ssl": True, "ssl_ca_certs": "/etc/ca.crt"}
    assert found(url=url, cluster_nodes=["a"]).options == options
    assert found(url=url, cluster_nodes=["a"]).options_of_asked == options
    theirs = found(url=url, sentinels=["a"], sentinel_password="theirs").options_of_asked
    assert theirs == {"password": "theirs", "ssl": True, "ssl_ca_certs": "/etc/ca.crt"}
    assert found(cluster_nodes=["a"]).options == {"ssl": False}


def test_where_one_is_sent_by_the_program_the_environments_servers_do_not_count() -> None:
    environ = {"QUEUE_URL": "redis://:p@a", "QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINEL_MASTER": "left over"}
    assert found(environ, url="redis://b").asked == ()
    access = found(environ, sentinels=["c"])
    assert (access.url, access.cluster_nodes, access.asked) == ("redis://:p@a", (), (("c", 26379),))
