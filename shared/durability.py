"""What the Redis server may forget, looked at once at start."""

from __future__ import annotations

import logging

from shared.errors import RedisError, RedisRefused, SettingsError
from shared.redis_link import RedisLink

logger = logging.getLogger(__name__)

_LOOK_FOR = 1.0  # s; a server that is away now is not waited for


async def refuse_unsafe_server(link: RedisLink, *, allow_eviction: bool) -> None:
    """Check that the server keeps what it is given, and say what it may forget when it dies.

    Raises:
        SettingsError: it may evict keys to make room, and with them registry, ids or history.
    """
    if not await link.wait_connected(_LOOK_FOR):
        return
    try:
        info = _fields(await link.send("INFO", "memory")) | _fields(await link.send("INFO", "persistence"))
        fsync = await _fsync(link)
    except RedisError as exc:  # a managed server may not let us look
        logger.warning("redis settings cannot be read", extra={"error": str(exc)})
        return
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not allow_eviction:
        raise SettingsError(
            f"Redis has maxmemory-policy {policy}: it may drop ids and history at any time. "
            "Set it to noeviction, or REDIS_ALLOW_EVICTION=true"
        )
    if info.get("aof_enabled") != "1":
        logger.warning("redis keeps no append-only file: a restart forgets everything since its last snapshot")
    elif fsync is None:
        logger.info("redis does not tell how often it syncs")
    elif fsync != "always":
        logger.warning("redis does not sync every write: a crash may forget the last second (appendfsync always)")


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
