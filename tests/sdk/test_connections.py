"""Many calls at once: each costs what it costs alone, and connections that nobody needs any more are closed."""

from __future__ import annotations

import asyncio
import importlib.abc
import sys

import httpx
import pytest
from videosite_realtime import NotificationService, RetryPolicy, Undelivered, _connections
from videosite_realtime._connections import MOST

from tests.sdk.router_stub import Reply, Router

TICK = {"type": "tick"}


async def test_calls_one_after_another_share_one_connection(router: Router) -> None:
    async with NotificationService() as service:
        for _ in range(3):
            await service.broadcast(TICK)
    assert [asked.connection for asked in router.asked] == [1, 1, 1]


async def test_however_many_calls_there_are_connections_have_a_bound(router: Router) -> None:
    async with NotificationService() as service:
        await asyncio.gather(*(service.broadcast(TICK) for _ in range(2 * MOST)))
    assert len({asked.key for asked in router.asked}) == 2 * MOST
    assert 1 < router.connections <= MOST
    router.wait_until_all_connections_are_closed()


async def test_connections_of_a_crowd_are_closed_once_fewer_are_needed(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with NotificationService() as service:
        await asyncio.gather(*(service.broadcast(TICK) for _ in range(5)))
        opened = router.connections
        monkeypatch.setattr(_connections, "_IDLE", 0.0)
        for _ in range(opened):
            await service.broadcast(TICK)
        await asyncio.to_thread(router.wait_until_connections_are_closed, but=1)
        await service.broadcast(TICK)
    assert opened > 1


async def test_a_call_that_finds_no_connection_in_time_is_undelivered_and_comes_through_later(router: Router) -> None:
    async with NotificationService(retry=RetryPolicy(deadline=2)) as service:
        turns = (await service._connections.get())._turns
        for _ in range(MOST):  # as if as many calls hung
            await turns.acquire()
        with pytest.raises(Undelivered) as undelivered:
            await service.broadcast(TICK)
        assert isinstance(undelivered.value.__cause__, httpx.PoolTimeout)
        assert not router.asked
        turns.release()
        await service.resend(undelivered.value.request)
    assert len(router.asked) == 1


async def test_a_cancelled_call_leaves_its_place_to_others(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connections, "MOST", 1)
    router.answers(router.hang(), Reply())
    async with NotificationService() as service:
        call = asyncio.create_task(service.broadcast(TICK))
        await asyncio.to_thread(router.wait_until_asked, lambda _: True)
        call.cancel()
        await asyncio.wait((call,))
        await service.broadcast(TICK)
    assert len({asked.connection for asked in router.asked}) == 2, "an answer that came late would be taken for another"


async def test_a_call_looks_for_no_module_that_is_missing(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx's core imports sniffio at every lock; without it, six searches of the whole path, 0.3 ms of each call."""
    looked_for: list[str] = []

    class Witness(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            looked_for.append(name)

    async with NotificationService() as service:
        await service.broadcast(TICK)
        monkeypatch.setattr(sys, "meta_path", [Witness(), *sys.meta_path])
        await service.broadcast(TICK)
    assert looked_for == []
