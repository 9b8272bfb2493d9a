"""The registry: which nodes live, where a user is, and how a node is removed from it."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from pydantic_core import from_json

from shared.errors import RedisError
from shared.keys import BUCKET_TAGS, Keys, bucket
from shared.link import Link
from shared.scripts import CLEAR_NODE, Scripts

Places = dict[str, int]

LEASE_TTL_MS: Final = 8000
TOMB_MS: Final = 600_000  # how long a dead node's id is refused: far longer than a paused process or a call lives on
_CHUNK: Final = 500  # users cleared per script call, so that Redis serves others in between

_PLACE: Final = re.compile(rb" ([^ =]+)=(\d+)")


def parse_places(entry: bytes | None) -> Places:
    """Read an entry of ``users:{b}``, ``1 <node>=<connections> …``; connections per node id.

    Other versions write into the same entry: what they put after a count, or instead of a place, is passed over.
    """
    return {node.decode(): int(count) for node, count in _PLACE.findall(entry or b"")}


async def user_places(link: Link, keys: Keys, user: str) -> Places:
    return parse_places(await link.send("HGET", keys.users(bucket(user)), user))


async def list_nodes(link: Link, keys: Keys) -> list[dict[str, Any]]:
    """Return every node whose lease holds, with what it last said of itself, by name."""
    live, about, counts = await asyncio.gather(
        link.send("ZRANGEBYSCORE", keys.leases, link.server_ms(), "+inf"),
        link.send("HGETALL", keys.nodes),
        link.send("HGETALL", keys.counts),
    )
    nodes = []
    for node_id in live:
        if node_id in about and node_id in counts:
            users, admins = map(int, counts[node_id].split(b" ")[1:3])
            connections = {"user_connections": users, "admin_connections": admins}
            nodes.append({"node_id": node_id.decode(), **from_json(about[node_id]), **connections})
    return sorted(nodes, key=lambda node: str(node["node_id"]))


async def clear_node(link: Link, scripts: Scripts, keys: Keys, node_id: str) -> None:
    """Remove everything a node left in the registry; nothing can be registered under its id again.

    Raises:
        RedisError: something is left: in a Redis Cluster, in the buckets that are away.
    """
    failure: RedisError | None = None
    for tag in BUCKET_TAGS:
        names = (keys.users(tag), keys.held(tag, node_id), keys.tomb(tag, node_id))
        try:
            while await scripts.run(link, CLEAR_NODE, names, (node_id, _CHUNK, TOMB_MS)):
                pass
        except RedisError as exc:
            failure = exc
    if failure is not None:
        raise failure
