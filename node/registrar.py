"""Which users a node holds, as Redis is told: bucket by bucket, in absolute counts.

A connection that was lost and made anew may lead to a server that has forgotten what it had answered: a replica that
was promoted, or one that started anew and still knows the lease. So everybody is written down anew over it: those who
are here, and those who left and whom Redis believes here.
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
    """What Redis said when it wrote a user down.

    Attributes:
        elsewhere: connections of this user on other nodes.
        top: the user's stream's newest position at that moment.
        has_states: whether newest values are kept for it.
    """

    elsewhere: int
    blocked: bool
    top: Position
    has_states: bool


class Household(Protocol):
    """Who lives here, as far as the cluster has to be told."""

    def user_connections_of(self, user: str) -> int: ...

    def connected_users(self) -> list[str]: ...

    def user_count(self) -> int: ...

    def connection_counts(self) -> tuple[int, int]:
        """Return user and admin connections."""

    def compare(self, user: str, top: Position) -> None:
        """Take note of where a user's stream stands."""


class Part(NamedTuple):
    """Users that one call writes down: of one bucket, and not too many."""

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
    def __init__(self, link: Link, scripts: Scripts, keys: Keys, household: Household) -> None:
        self._link, self._scripts, self._keys, self._household = link, scripts, keys, household
        self._written_on: dict[str, int] = {}  # by bucket, the connection over which everybody was written down last

    def begin_anew(self) -> None:
        """Have everybody written down in the next round: the node has another id, or Redis may know nothing of it."""
        self._written_on.clear()

    async def who_may_be_forgotten(self, node_id: str) -> set[str]:
        """Return the users of buckets over whose present connection they have not been written down."""
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
            found.update(user for user in self._household.connected_users() if bucket(user) == tag)
            self._written_on[tag] = made
        return found

    def write(self, part: Part, node_id: str, revision: int) -> Awaitable[Reply]:
        """Write users down with how many connections each has here at this call; see ``register.lua`` for the reply.

        Counted at once, and not when it is sent: who comes in between is judged by the next reply, and must not have
        been counted before by those whom other nodes judge.
        """
        k, tag = self._keys, part.tag
        keys = [k.users(tag), k.held(tag, node_id), k.tomb(tag, node_id), k.blocked(tag), k.seq(tag)]
        args: list[str | int] = [node_id, revision]
        for user in part.users:
            keys.append(k.user_states(user).table)
            args += (user, self._household.user_connections_of(user), user_stream(user))
        return self._scripts.run(self._link, REGISTER, keys, args)
