"""The cluster's four counters, as all its nodes and routers tell them."""

from __future__ import annotations

from tests.support.cluster import Cluster
from tests.support.waiting import until

A_SECOND = 1.0


def counters(users: int, user_connections: int, admins: int) -> dict[str, int]:
    return {
        "total_users": users,
        "total_user_connections": user_connections,
        "total_admin_connections": admins,
        "total_connections": user_connections + admins,
    }


async def everywhere(cluster: Cluster) -> dict[str, dict[str, int]]:
    """Return the counters as every service that runs tells them."""
    told = {node.name: await node.stats() for node in cluster.nodes if node.running}
    return told | {router.name: await router.read("stats") for router in cluster.routers if router.running}


async def until_all_say(cluster: Cluster, wanted: dict[str, int], *, timeout: float = A_SECOND) -> None:
    async def agreed() -> bool:
        told = await everywhere(cluster)
        assert told == dict.fromkeys(told, wanted)
        return True

    await until(agreed, timeout=timeout)
