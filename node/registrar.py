"""Registers a node's users in Redis: bucket by bucket, in absolute counts.

After a reconnect, Redis may be a server that has forgotten registrations: a promoted replica, or one that has restarted
and still knows the lease. So every new connection is followed by registering everybody again: the users who are here,
and those who left but whom Redis still lists under this node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from shared.errors import RedisError
from shared.ids import Position, user_stream
from shared.keys import BUCKET_TAGS, Keys, bucket
from shared.link import Link
from shared.redis_wire import Reply
from shared.scripts import REGISTER, Scripts

_USERS_PER_CALL: Final = 250  # about 3 ms of Redis: a full node that joins anew does not hold up others
_NO_USER: Final = "#rev"  # in held:{b}:<node>


@dataclass(frozen=True, slots=True)
class Registration:
    """What Redis answered when it registered a user.

    Attributes:
        elsewhere: connections of this user on other nodes.
        top: the user's stream's newest position at that moment.
        has_states: whether newest values are kept for it.
    """

    elsewhere: int
    blocked: bool
    top: Position
    has_states: bool


class LocalUsers(Protocol):
    """The users connected to this node, as far as the registry needs to know them."""

    def user_connections_of(self, user: str) -> int: ...

    def connected_users(self) -> list[str]: ...

    def user_count(self) -> int: ...

    def connection_counts(self) -> tuple[int, int]:
        """Return user and admin connections."""

    def compare(self, user: str, top: Position) -> None:
        """Take note of where a user's stream stands."""


class Part(NamedTuple):
    """Users that one call registers: of one bucket, and not too many."""

    tag: str
    users: list[str]


def parts_of(users: Iterable[str]) -> list[Part]:
    by_tag: dict[str, list[str]] = defaultdict(list)
    for user in users:
        by_tag[bucket(user)].append(user)
    return [
        Part(tag, m[i : i + _USERS_PER_CALL]) for tag, m in by_tag.items() for i in range(0, len(m), _USERS_PER_CALL)
    ]


class Registrar:
    def __init__(self, link: Link, scripts: Scripts, keys: Keys, local_users: LocalUsers) -> None:
        self._link, self._scripts, self._keys, self._local_users = link, scripts, keys, local_users
        self._written_on: dict[str, int] = {}  # by bucket: the connection over which everybody was registered last

    def begin_anew(self) -> None:
        """Register everybody in the next round: the node has a new id, or Redis may have forgotten its users."""
        self._written_on.clear()

    async def users_to_register_again(self, node_id: str) -> set[str]:
        """Return the users to register again: of the buckets whose connection is new since the last time."""
        found: set[str] = set()
        for tag in BUCKET_TAGS:
            link = self._link.of(tag)
            made = link.reconnects
            if not link.connected or self._written_on.get(tag) == made:
                continue
            try:
                believed: dict[bytes, bytes] = await link.send("HGETALL", self._keys.held(tag, node_id))
            except RedisError:
                continue  # the next round will do
            found.update(user for user in map(bytes.decode, believed) if user != _NO_USER)
            found.update(user for user in self._local_users.connected_users() if bucket(user) == tag)
            self._written_on[tag] = made
        return found

    def write(self, part: Part, node_id: str, revision: int) -> Awaitable[Reply]:
        """Register users with the number of connections that each has here; see ``register.lua`` for the reply.

        The connections are counted at once, not when the command is sent: one that is opened in between waits for the
        next reply, and other nodes must not count it against the user's limit before that.
        """
        k, tag = self._keys, part.tag
        keys = [k.users(tag), k.held(tag, node_id), k.tomb(tag, node_id), k.blocked(tag), k.seq(tag)]
        args: list[str | int] = [node_id, revision]
        for user in part.users:
            keys.append(k.user_states(user).table)
            args += (user, self._local_users.user_connections_of(user), user_stream(user))
        return self._scripts.run(self._link, REGISTER, keys, args)
