"""One user's inbox as its devices use it: by HTTP, on any node."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.cluster import Cluster, Node
from tests.support.waiting import until, until_equal

PATH = "/api/v1/notifications"


class Desk:
    def __init__(self, cluster: Cluster, token: str) -> None:
        self.cluster, self.token = cluster, token

    async def call(self, method: str, path: str = "", *, node: Node | None = None, **request: Any) -> httpx.Response:
        """Make a call; a device that is told that it calls too often calls again."""
        while True:
            answer = await (node or self.cluster.node).call(method, PATH + path, bearer=self.token, **request)
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(0.1)

    async def get(self, path: str = "", **query: Any) -> Any:
        answer = await self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def unread(self, **query: Any) -> int:
        count: int = (await self.get("/unread-count", **query))["unread"]
        return count

    async def settled(self, unread: int, **query: Any) -> None:
        """Wait until so many are unread: until what was published is written."""
        await until_equal(lambda: self.unread(**query), unread)

    async def ids(self, **query: Any) -> list[str]:
        return [item["id"] for item in (await self.get(**query))["notifications"]]

    async def there(self, *ids: str, **query: Any) -> None:
        """Wait until these are in the inbox."""

        async def all_of_them() -> bool:
            missing = set(ids) - set(await self.ids(limit=100, **query))
            assert not missing, f"not there: {missing}"
            return True

        await until(all_of_them)

    async def mark(self, *, node: Node | None = None, **body: Any) -> Any:
        answer = await self.call("POST", "/read", node=node, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()
