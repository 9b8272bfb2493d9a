"""Retries: a router that is away, slow, or without Redis neither loses nor doubles a message."""

from __future__ import annotations

import asyncio
import pickle
import re

import httpx
import pytest
from videosite_realtime import (
    NotificationService,
    Publish,
    Receipt,
    RetryPolicy,
    SyncNotificationService,
    Undelivered,
)
from videosite_realtime.retry import DEFAULT_RETRY

from tests.sdk.router_stub import RECEIPT, Reply, Router

NO_REDIS = {"detail": "Redis does not answer just now", "operation_key": "op-1"}
HASTY = RetryPolicy(attempt_timeout=2)  # s; for routers that hang


class Waits:
    """Stands in for sleeping: keeps what was asked for, and may do something in the meantime."""

    def __init__(self, meanwhile: object = None) -> None:
        self.seconds: list[float] = []
        self._meanwhile = meanwhile

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if callable(self._meanwhile):
            self._meanwhile()

    async def asynchronously(self, seconds: float) -> None:
        self(seconds)
        await asyncio.sleep(0)


def tell(router: Router, waits: Waits, retry: RetryPolicy = DEFAULT_RETRY) -> Receipt:
    """Tell something with the synchronous twin."""
    with SyncNotificationService(retry=retry, sleep=waits) as service:
        return service.notify_transcode_progress(123, "processing", 45, "已完成720p转码")


async def tell_asynchronously(router: Router, waits: Waits, retry: RetryPolicy = DEFAULT_RETRY) -> Receipt:
    async with NotificationService(retry=retry, sleep=waits.asynchronously) as service:
        return await service.notify_transcode_progress(123, "processing", 45, "已完成720p转码")


def assert_same_message_each_time(router: Router, times: int) -> None:
    assert len(router.asked) == times
    assert len({(asked.key, asked.text) for asked in router.asked}) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_router_in_trouble_is_asked_again_with_the_same_key(router: Router, status: int) -> None:
    router.answers(Reply(status, NO_REDIS), Reply(status, NO_REDIS))
    waits = Waits()
    receipt = await tell_asynchronously(router, waits)
    assert receipt.nodes == 2
    assert_same_message_each_time(router, 3)
    assert 0.1 <= waits.seconds[0] <= 0.2 <= waits.seconds[1] <= 0.4


def test_the_twin_asks_again_with_the_same_key_as_well(router: Router) -> None:
    router.answers(Reply(503, NO_REDIS), Reply(502, "<html>bad gateway</html>"))
    assert tell(router, Waits()).nodes == 2
    assert_same_message_each_time(router, 3)


async def test_retry_after_is_honoured(router: Router) -> None:
    router.answers(Reply(503, NO_REDIS, {"Retry-After": "2"}))
    waits = Waits()
    await tell_asynchronously(router, waits)
    assert 2 <= waits.seconds[0] <= 2.2


def test_a_retry_after_that_is_no_number_of_seconds_counts_as_none(router: Router) -> None:
    router.answers(Reply(503, NO_REDIS, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    waits = Waits()
    tell(router, waits)
    assert waits.seconds[0] <= 0.2


async def test_a_router_that_starts_late_gets_the_message(cold_router: Router) -> None:
    waits = Waits(meanwhile=cold_router.start)
    receipt = await tell_asynchronously(cold_router, waits)
    assert receipt.online
    assert len(waits.seconds) == 1
    assert_same_message_each_time(cold_router, 1)


def test_the_twin_waits_for_a_router_that_starts_late_as_well(cold_router: Router) -> None:
    assert tell(cold_router, Waits(meanwhile=cold_router.start)).online


async def test_an_answer_that_does_not_come_is_asked_for_again_with_the_same_key(router: Router) -> None:
    router.answers(router.hang())
    await tell_asynchronously(router, Waits(), HASTY)
    assert_same_message_each_time(router, 2)


def test_the_twin_does_not_wait_for_ever_either(router: Router) -> None:
    router.answers(router.hang())
    tell(router, Waits(), HASTY)
    assert_same_message_each_time(router, 2)


async def test_an_answer_that_was_mangled_on_its_way_is_asked_for_again_with_the_same_key(router: Router) -> None:
    mangled = Reply(202, headers={"Content-Encoding": "gzip"})
    router.answers(mangled, mangled)
    await tell_asynchronously(router, Waits())
    assert_same_message_each_time(router, 3)
    router.asked.clear()
    router.answers(mangled)
    tell(router, Waits())
    assert_same_message_each_time(router, 2)


async def test_giving_up_tells_the_story_and_hands_back_the_message(router: Router) -> None:
    router.answers(Reply(503, NO_REDIS), Reply(503, NO_REDIS, {"Retry-After": "60"}))
    with pytest.raises(Undelivered) as caught:
        await tell_asynchronously(router, Waits())
    error = caught.value
    assert error.attempts == 2
    assert error.idempotency_key == router.asked[0].key
    story = str(error)
    assert re.search(r"POST /api/v1/notifications after 2 attempts in \d+\.\d s: ", story)
    assert "503 Service Unavailable: Redis does not answer just now" in story
    assert router.asked[0].key in story


def test_giving_up_on_a_router_that_is_not_there_names_the_cause(cold_router: Router) -> None:
    with pytest.raises(Undelivered, match=r"1 attempt in \d+\.\d s: ") as caught:
        tell(cold_router, Waits(), RetryPolicy(deadline=0.1))
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert "ConnectError" in caught.value.last_cause


async def test_what_was_given_up_is_completed_later_by_the_same_bytes_under_the_same_key(router: Router) -> None:
    router.answers(Reply(503, NO_REDIS, {"Retry-After": "60"}))
    with pytest.raises(Undelivered) as caught:
        await tell_asynchronously(router, Waits())
    kept = pickle.loads(pickle.dumps(caught.value)).request  # as a task queue would carry it
    assert isinstance(kept, Publish)
    async with NotificationService() as service:
        assert (await service.resend(kept)).id == RECEIPT["id"]
    assert_same_message_each_time(router, 2)


def test_waits_grow_up_to_a_limit_and_are_spread() -> None:
    policy = RetryPolicy(first_delay=0.2, longest_delay=5)
    assert [policy.delay(n, 0, jitter=1) for n in (1, 2, 3, 6, 10_000)] == [0.2, 0.4, 0.8, 5, 5]
    assert policy.delay(3, 0, jitter=0) == 0.4
    assert policy.delay(1, 2, jitter=0) == 2
    assert policy.delay(1, 2, jitter=0.5) == 2.1
    assert policy.delay(100, 2, jitter=1) == 5


async def test_no_attempt_waits_beyond_the_deadline(router: Router) -> None:
    router.answers(router.hang())
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(Undelivered, match="ReadTimeout"):
        await tell_asynchronously(router, Waits(), RetryPolicy(deadline=0.3, attempt_timeout=60))
    assert loop.time() - started < 30
