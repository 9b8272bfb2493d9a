"""What the Redis server may forget, looked at once at start."""

from __future__ import annotations

import logging

from shared.errors import RedisError, SettingsError
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
        answer = await link.send("CONFIG", "GET", "maxmemory-policy", "appendonly", "appendfsync")
    except RedisError as exc:  # a managed server may not let us look
        logger.warning("redis settings cannot be read", extra={"error": str(exc)})
        return
    settings = {name.decode(): value.decode() for name, value in answer.items()}
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction" and not allow_eviction:
        raise SettingsError(
            f"Redis has maxmemory-policy {policy}: it may drop ids and history at any time. "
            "Set it to noeviction, or REDIS_ALLOW_EVICTION=true"
        )
    if settings.get("appendonly") != "yes":
        logger.warning("redis keeps no append-only file: a restart forgets everything since its last snapshot")
    elif settings.get("appendfsync") != "always":
        logger.warning("redis does not sync every write: a crash may forget the last second (appendfsync always)")
