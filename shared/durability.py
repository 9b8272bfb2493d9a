"""Checks at start what a Redis server may lose."""

from __future__ import annotations

import logging
from typing import NamedTuple

from shared.errors import RedisError, RedisRefused, SettingsError
from shared.link import Link
from shared.redis_link import RedisLink
from shared.tasks import all_of

logger = logging.getLogger(__name__)

_LOOK_FOR = 1.0  # s; a server that is away now is not waited for


class _Persistence(NamedTuple):
    """How a server persists its data; ``fsync``: None if we have no right to ask."""

    appends: bool
    fsync: str | None


async def refuse_unsafe_server(link: Link, *, allow_eviction: bool) -> None:
    """Refuse servers that evict keys; log once what a server may lose when it dies.

    Raises:
        SettingsError: one may evict keys to make room, and with them registry, ids or history.
    """
    seen = await all_of(*(_look(server, allow_eviction=allow_eviction) for server in link.parts))
    servers = [server for server in seen if isinstance(server, _Persistence)]
    for failure in [server for server in seen if isinstance(server, RedisError)][:1]:
        logger.warning("redis settings cannot be read", extra={"error": str(failure)})
    if any(not server.appends for server in servers):
        logger.warning("redis keeps no append-only file: a restart forgets everything since its last snapshot")
    elif any(server.fsync not in (None, "always") for server in servers):
        logger.warning("redis does not sync every write: a crash may forget the last second (appendfsync always)")
    elif any(server.fsync is None for server in servers):
        logger.info("redis does not tell how often it syncs")


async def _look(link: RedisLink, *, allow_eviction: bool) -> _Persistence | RedisError | None:
    """Return how one server persists its data, or why that is not known; None if it is away."""
    if not await link.wait_connected(_LOOK_FOR):
        return None
    try:
        info = _fields(await link.send("INFO", "memory")) | _fields(await link.send("INFO", "persistence"))
        fsync = await _fsync(link)
    except RedisError as exc:  # a managed server may not let us look
        return exc
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not allow_eviction:
        raise SettingsError(
            f"Redis has maxmemory-policy {policy}: it may drop ids and history at any time. "
            "Set it to noeviction, or REDIS_ALLOW_EVICTION=true"
        )
    return _Persistence(info.get("aof_enabled") == "1", fsync)


async def _fsync(link: RedisLink) -> str | None:
    """Return how the server syncs its file; None if we may not know: CONFIG shows passwords, so few users have it."""
    try:
        answer = await link.send("CONFIG", "GET", "appendfsync")
    except RedisRefused:
        return None
    return {name.decode(): value.decode() for name, value in answer.items()}.get("appendfsync")


def _fields(info: bytes | str) -> dict[str, str]:
    text = info.decode() if isinstance(info, bytes) else info
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in pairs if value}
