"""From socket to stream to poll and back, by dice, while nodes are killed and drained: gapless, and once."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.support.cluster import Cluster, Node
from tests.support.traffic import Traffic, assert_nothing_lost_or_doubled
from tests.support.waiting import until
from tests.support.wanderer import Wanderer

USERS = [f"w{index}" for index in range(4)]


def by_dice(cluster: Cluster, dice: random.Random) -> Callable[[], Node]:
    return lambda: dice.choice([node for node in cluster.nodes if node.running])


async def wanderers(cluster: Cluster, stack: AsyncExitStack, seed: int) -> list[Wanderer]:
    clients = []
    for index, user in enumerate([*USERS, "a0", "a1"]):
        dice = random.Random(seed * 100 + index)
        client = Wanderer(cluster, user, admin=user.startswith("a"), choose=by_dice(cluster, dice), dice=dice)
        clients.append(client)
        stack.push_async_callback(client.stop)
        await client.start()
    return clients


@pytest.mark.parametrize("seed", [1, 2])
async def test_who_changes_its_way_loses_nothing_and_gets_nothing_twice(new_cluster, seed: int) -> None:
    cluster: Cluster = await new_cluster(nodes=3, DRAIN_SECONDS="1", COMMANDS_PER_SECOND="1000")
    dice = random.Random(seed)
    async with AsyncExitStack() as stack:
        clients = await wanderers(cluster, stack, seed)
        async with Traffic(cluster, USERS).flowing() as traffic:
            for how in dice.sample(("killed", "terminated"), 2):
                await traffic.more(80)
                node = dice.choice(cluster.nodes)
                await (node.kill() if how == "killed" else node.terminate())
                await traffic.more(80)
                await node.start()
            await until(lambda: all(client.has_gone_every_way(3) for client in clients), timeout=60)
        await assert_nothing_lost_or_doubled(traffic, clients)
    assert sum(client.misplaced for client in clients) == 0
