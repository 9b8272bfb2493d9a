"""The clients: users with several devices and admins, each on whichever node it finds."""

from __future__ import annotations

import asyncio
import random
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.schedule import NODES
from tests.faults.stage import Stage
from tests.support.tokens import in_seconds
from tests.support.viewer import Viewer
from tests.support.waiting import until

_TOKEN_LASTS = 24 * 3600  # s
_WELCOME = 60.0  # s for everybody to be in at first


def stream_of_user(user: int) -> str:
    return "u." + urlsafe_b64encode(str(user).encode()).rstrip(b"=").decode()


class Crowd:
    """Attributes:
    users: by user id, the viewers on its devices; two or three each.
    """

    def __init__(self, stage: Stage, *, users: int, admins: int, seed: int) -> None:
        self._stage = stage
        self._dice = random.Random(f"crowd {seed}")
        self.users = {
            user: [self._viewer(f"user-{user}/{device}", user) for device in range(1, 3 + user % 2)]
            for user in range(1, users + 1)
        }
        self.admins = [self._viewer(f"admin-{n}", 1_000_000 + n, admin=True) for n in range(1, admins + 1)]

    def _viewer(self, name: str, user: int, *, admin: bool = False) -> Viewer:
        tokens = self._stage.cluster.tokens
        claims = {"exp": in_seconds(_TOKEN_LASTS)}
        token = tokens.admin(user, **claims) if admin else tokens.user(user, **claims)
        return Viewer(name, token, self._stage.clients_ports, admin=admin, dice=random.Random(self._dice.random()))

    @property
    def viewers(self) -> list[Viewer]:
        return [*self.admins, *(viewer for viewers in self.users.values() for viewer in viewers)]

    def streams(self) -> list[tuple[Viewer, tuple[str, str]]]:
        """Return each viewer with the streams that it may hear."""
        admins = [(viewer, ("admin", "all")) for viewer in self.admins]
        users = [(viewer, (stream_of_user(user), "all")) for user, devices in self.users.items() for viewer in devices]
        return [*admins, *users]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Have everybody watch, and come back when cut off; entered once all have been welcomed."""
        tasks = [asyncio.create_task(viewer.watch()) for viewer in self.viewers]
        try:
            await until(lambda: all(viewer.at is not None for viewer in self.viewers), timeout=_WELCOME)
            yield
            broken = [task for task in tasks if task.done()]
            assert not broken, [task.exception() for task in broken]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the cluster should know of it

    def by_node(self) -> dict[str, tuple[int, int]]:
        """Return user and admin connections by node; whoever is not connected is not counted."""
        users = Counter(v.at for viewers in self.users.values() for v in viewers if v.at is not None)
        admins = Counter(v.at for v in self.admins if v.at is not None)
        return {name: (users[index], admins[index]) for index, name in enumerate(NODES)}

    def places(self, user: int) -> dict[str, int]:
        """Return on which nodes a user is, how often."""
        return dict(Counter(NODES[v.at] for v in self.users[user] if v.at is not None))
