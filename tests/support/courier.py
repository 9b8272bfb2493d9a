"""Brings publishes to routers, one after the other, as the SDK does: until one of them has done it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Self

import httpx

from tests.support.cluster import Router
from tests.support.ports import LOOPBACK

_RETRIED = frozenset({429, 502, 503, 504})
_PAUSE = (0.05, 0.3)  # s; shorter than the SDK's: what happens during a fault is what we are here for
_PATIENCE = 4.0  # s for an answer


class Courier:
    """An async context manager.

    Args:
        ports: where the routers answer, if not at their own: a proxy before each.

    Attributes:
        refusals: the answers that asked to try again.
    """

    def __init__(self, routers: Sequence[Router], *, ports: Sequence[int] = (), timeout: float = _PATIENCE) -> None:
        urls = [f"http://{LOOPBACK}:{port}" for port in ports] or [router.url for router in routers]
        self._https = [router.http(url, timeout=timeout) for router, url in zip(routers, urls, strict=True)]
        self._bearer = {"Authorization": f"Bearer {routers[0].api_key}"}
        self._turn = 0
        self.refusals: list[httpx.Response] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for http in self._https:
            await http.aclose()

    async def deliver(self, path: str, body: Any, *, key: str | None = None, repeatable: bool = False) -> Any:
        """Return the answer's JSON; None if nobody can know whether it was done.

        Without a key, a call whose connection breaks cannot be repeated without doubling, unless its items bring keys
        of their own (``repeatable``). A 503 names a key, with which it can.
        """
        while True:
            headers = self._bearer if key is None else {**self._bearer, "Idempotency-Key": key}
            try:
                answer = await self._next_router().post(f"/api/v1/{path}", json=body, headers=headers)
            except httpx.TransportError:
                if key is None and not repeatable:
                    return None
            else:
                if answer.is_success:
                    return answer.json()
                assert answer.status_code in _RETRIED, f"{answer.status_code}: {answer.text}"
                self.refusals.append(answer)
                key = answer.json()["operation_key"] if not repeatable else key
            await asyncio.sleep(random.uniform(*_PAUSE))

    def _next_router(self) -> httpx.AsyncClient:
        self._turn += 1
        return self._https[self._turn % len(self._https)]
