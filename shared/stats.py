"""The four counters of the cluster.

Connections are summed by the script that takes each node's absolute counts, distinct users are the sizes of the
buckets' hashes: exact by construction, no counter that could drift. One process (the caretaker) puts the sums into one
key four times a second; all others read that key, since 500 nodes each adding up 500 would be 250,000 reads a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import from_json, to_json

from shared.deaths import Deaths


@dataclass(frozen=True, slots=True)
class Counters:
    users: int = 0
    user_connections: int = 0
    admin_connections: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "total_users": self.users,
            "total_user_connections": self.user_connections,
            "total_admin_connections": self.admin_connections,
            "total_connections": self.user_connections + self.admin_connections,
        }


@dataclass(frozen=True, slots=True)
class ClusterStats:
    """What the caretaker last summed up.

    Attributes:
        at_ms: the server's clock, before the sums were taken.
        deaths: of nodes; None: the caretaker's version does not tell.
    """

    at_ms: int = 0
    counters: Counters = Counters()
    deaths: Deaths | None = None

    def dump(self) -> bytes:
        c = self.counters
        return to_json([1, self.at_ms, c.users, c.user_connections, c.admin_connections, *(self.deaths or ())])

    @classmethod
    def load(cls, raw: bytes | None) -> ClusterStats:
        """Read the sums; those in a format of another version count as none."""
        try:
            _, at_ms, users, user_connections, admin_connections, *more = from_json(raw or b"null")
            counters = Counters(int(users), int(user_connections), int(admin_connections))
            told = [int(number) for number in more[: len(Deaths._fields)]]
            return cls(int(at_ms), counters, Deaths(*told) if told else None)
        except (ValueError, TypeError):
            return cls()
