"""A client that polls, as the tests see it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.cluster import Node
from tests.support.event_stream import events_path

Answer = dict[str, Any]


class Poller:
    """Goes on from answer to answer.

    Attributes:
        since: its cursor; None before the first answer.
    """

    def __init__(self, node: Node, token: str, *, admin: bool = False, since: str | None = None) -> None:
        self.node, self.since = node, since
        self.states_since: str | None = None
        self._token, self._path = token, events_path(admin=admin)

    async def get(self, **query: Any) -> httpx.Response:
        """Make a call with this query alone."""
        return await self.node.get(self._path, bearer=self._token, params=query)

    async def poll(self, *, states: bool = False, **query: Any) -> Answer:
        """Ask for what came after the last answer; with ``states`` only for those that are newer than it, too."""
        if self.since is not None:
            query.setdefault("since", self.since)
        if states and self.states_since is not None:
            query["states_since"] = self.states_since
        response = await self.get(**query)
        assert response.status_code == 200, f"{response.status_code}: {response.text}"
        answer = response.json()
        self.since, self.states_since = answer["cursor"], answer["states_cursor"]
        return answer
