"""Where in a Redis Cluster the queue is: what its servers say of slots, read. Without I/O, for both clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from redis.sentinel import MasterNotFoundError

from videosite_realtime._queue_access import HostAndPort

QUESTION: Final = ("CLUSTER", "SLOTS")
REFUSALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)
_HOST_UNKNOWN: Final = "?"  # what a server says of one that has not told it its name yet


def master_of(key: str, slots: Sequence[Any], asked: HostAndPort) -> HostAndPort:
    """Return where the master of a key's slot is.

    Args:
        slots: the answer to ``CLUSTER SLOTS``.
        asked: who gave it; a server whose host it leaves out is to be reached where it is.

    Raises:
        MasterNotFoundError: it does not know.
    """
    slot = key_slot(key.encode())
    for first, last, (host, port, *_), *_ in slots:
        if first <= slot <= last:
            name = host.decode() if isinstance(host, bytes) else host
            if name != _HOST_UNKNOWN:
                return name or asked[0], int(port)
    raise MasterNotFoundError(f"knows no server of slot {slot}")


def nobody_knows(problems: dict[HostAndPort, RedisError | OSError]) -> RedisError | OSError:
    """Return what to raise when no server could tell: if one refuses us, that is it."""
    refused = next((problem for problem in problems.values() if isinstance(problem, REFUSALS)), None)
    told = "; ".join(f"{host}:{port}: {problem}" for (host, port), problem in problems.items())
    return refused or MasterNotFoundError(f"the Redis Cluster does not lead to the queue ({told})")
