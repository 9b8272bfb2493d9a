"""The cluster's counters as this node shows them: the caretaker's sums, plus what changed here since. No I/O.

The sums are up to half a second old, and a client that has just connected here must be included.
"""

from __future__ import annotations

from collections import deque

from shared.stats import ClusterStats, Counters


class Overlay:
    """Remembers what this node has lately written to the registry, with times of the server's clock."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int, int]] = deque([(0, 0, 0)])
        self._users: deque[tuple[int, int]] = deque()

    def wrote_counts(self, at_ms: int, user_connections: int, admin_connections: int) -> None:
        """Take note that Redis has these counts of this node since ``at_ms``."""
        self._counts.append((at_ms, user_connections, admin_connections))

    def users_changed(self, at_ms: int, change: int) -> None:
        """Take note that a registration of this node changed the number of the cluster's users."""
        self._users.append((at_ms, change))

    def forget(self) -> None:
        """Start again under a new node id, of which no sum contains anything yet."""
        self._counts = deque([(0, 0, 0)])
        self._users.clear()

    def show(self, stats: ClusterStats, here: Counters) -> Counters:
        """Return the sums with this node's current counts in place of those that they contain.

        Nobody who is here may be missing: a user whose first connection another node has registered a moment ago is no
        change of ours, and not in the sums yet.
        """
        while len(self._counts) > 1 and self._counts[1][0] <= stats.at_ms:
            self._counts.popleft()
        while self._users and self._users[0][0] <= stats.at_ms:
            self._users.popleft()
        _, users_then, admins_then = self._counts[0]
        sums = stats.counters
        users = max(sums.users + sum(change for _, change in self._users), here.users)
        connections = max(sums.user_connections + here.user_connections - users_then, here.user_connections)
        # The two are summed up from different keys, and either may be ahead; but nobody is there without a connection.
        return Counters(
            min(users, connections),
            connections,
            max(sums.admin_connections + here.admin_connections - admins_then, here.admin_connections),
        )
