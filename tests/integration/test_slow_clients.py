"""Clients that stop reading: what they cost, and what they get when they read again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support.cluster import Cluster, Node
from tests.support.raw_client import PING, frame
from tests.support.slow_client import SlowClient, SlowStream, pss_kib
from tests.support.waiting import until_equal

SLOW = 30
LONG = "170"  # s: longer than a test
PADDING = "x" * 8000
# A stalled client may cost what is left of one message, and its cursors. The rest is the node's own coming and going. A
# queue of 2,500 messages of 8 KiB would be 20 MB, though all queues held the same bytes.
PER_CLIENT_KIB = 16
NODES_OWN_KIB = 8 * 1024
# Messages of 8 KiB that neither the kernel's buffers nor a short history and the node's own tail of 512 could hold.
BEYOND_REACH = 1500


@asynccontextmanager
async def slow_clients(
    cluster: Cluster, count: int, kind: type[SlowClient] = SlowClient
) -> AsyncIterator[list[SlowClient]]:
    clients = [kind(cluster, f"slow-{index}") for index in range(count)]
    async with AsyncExitStack() as stack:
        for client in clients:
            await client.connect()
            stack.callback(client.close)
        yield clients


async def flood(cluster: Cluster, messages: int) -> int:
    """Broadcast so many messages of 8 KiB; return the number of the last."""
    item = {"audience": "all", "message": {"type": "event", "padding": PADDING}}
    for _ in range(messages // 100):
        answer = await cluster.router.post("messages/batch", {"items": [item] * 100})
    return int(answer.json()["results"][-1]["id"].rpartition("-")[2])


async def cut_off(node: Node) -> int:
    metrics = (await node.health("/metrics")).text
    found = re.search(r"^vsrt_node_stalled_clients_total (\S+)", metrics, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@pytest.mark.parametrize("kind", [SlowClient, SlowStream], ids=["sockets", "streams"])
async def test_they_cost_a_constant_disturb_nobody_and_get_everything_when_they_read_again(
    new_cluster, kind: type[SlowClient]
) -> None:
    cluster: Cluster = await new_cluster(SLOW_CLIENT_TIMEOUT=LONG)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(cluster.user(f"reader-{index}")) for index in range(5)]
        await flood(cluster, 500)  # what the node needs for itself it has now
        for reader in readers:
            await reader.receive_many("event", 500)
        clients = await stack.enter_async_context(slow_clients(cluster, SLOW, kind))
        before = pss_kib(cluster.node.pid)
        last = await flood(cluster, 2500)
        for reader in readers:
            numbers = [int(m["id"].rpartition("-")[2]) for m in await reader.receive_many("event", 2500)]
            assert numbers == list(range(last - 2499, last + 1))
        assert pss_kib(cluster.node.pid) - before < SLOW * PER_CLIENT_KIB + NODES_OWN_KIB
        async with asyncio.timeout(120):
            assert all(await asyncio.gather(*(client.read_up_to(last) for client in clients)))
        for client in clients:
            assert client.numbers == list(range(last - 2500, last + 1))
            assert client.gaps == {}
        assert await cut_off(cluster.node) == 0


@pytest.mark.parametrize("kind", [SlowClient, SlowStream], ids=["sockets", "streams"])
async def test_who_is_cut_off_comes_back_and_has_missed_nothing(new_cluster, kind: type[SlowClient]) -> None:
    cluster: Cluster = await new_cluster(SLOW_CLIENT_TIMEOUT="4")  # s; who has come back reads all it missed in less
    async with slow_clients(cluster, 10, kind) as clients:
        await flood(cluster, 600)
        await until_equal(lambda: cut_off(cluster.node), 10)
        assert cluster.node.log().count("slow client cut off kind=user seconds=") == 10
        last = await flood(cluster, 100)
        for client in clients:
            assert not await client.read_up_to(last)  # what the kernel had taken for it, and then the end
            client.close()
            await client.connect()
            assert client.recovered is True
            assert await client.read_up_to(last)
            assert client.numbers == list(range(last - 700, last + 1))


async def test_who_reads_again_beyond_historys_reach_is_told_what_it_has_lost(new_cluster) -> None:
    cluster: Cluster = await new_cluster(HISTORY_LENGTH_SHARED="100", SLOW_CLIENT_TIMEOUT=LONG)
    async with slow_clients(cluster, 10) as clients:
        last = await flood(cluster, BEYOND_REACH)
        for client in clients:
            assert await client.read_up_to(last)
            assert client.gaps, "nothing was out of reach"
        assert "client resynced stream=all cursor=" in cluster.node.log()
        for client in clients:
            assert client.has_all_it_was_not_told_of
            assert client.numbers[-1] == last
        again = await flood(cluster, 100)
        for client in clients:
            assert await client.read_up_to(again)
            assert client.numbers[-100:] == list(range(last + 1, again + 1))


async def test_who_is_cut_off_beyond_historys_reach_is_told_so_when_it_comes_back(new_cluster) -> None:
    cluster: Cluster = await new_cluster(HISTORY_LENGTH_SHARED="100", SLOW_CLIENT_TIMEOUT="1")
    async with slow_clients(cluster, 5) as clients:
        last = await flood(cluster, BEYOND_REACH)
        await until_equal(lambda: cut_off(cluster.node), 5)
        for client in clients:
            assert not await client.read_up_to(last)
            client.close()
            await client.connect()
            assert client.recovered is False
            assert client.numbers[-1] == last
            assert client.has_all_it_was_not_told_of


async def test_who_pings_and_never_reads_is_not_listened_to_any_more(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, COMMANDS_PER_SECOND="1000000000")
    ping = frame(PING, b"x" * 125) * 1000
    async with slow_clients(cluster, 5) as clients:
        before = pss_kib(cluster.node.pid)

        async def full(client: SlowClient) -> int:
            """Send until nothing has been taken for a while; return how many bytes the node and the kernel took."""
            sent = idle = 0
            while idle < 20:
                # From where the last frame was cut: the node is to hear whole frames only.
                taken = client.send(ping[sent % len(ping) :])
                sent, idle = sent + taken, 0 if taken else idle + 1
                assert sent < 100_000_000, "the node reads on from somebody who reads nothing"
                await asyncio.sleep(0 if taken else 0.02)
            return sent

        await asyncio.gather(*(full(client) for client in clients))
        # What one read of the socket held is answered in one go, 256 KiB at most.
        assert pss_kib(cluster.node.pid) - before < 5 * 512 + NODES_OWN_KIB
        async with cluster.user("bystander") as bystander:
            await bystander.settled()
