"""The platform's word on a user: how long it holds, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from node import user_check
from node.user_check import HttpUserCheck, Verdict
from tests.support.clock import clock_of
from tests.support.endless import endless_answer
from tests.support.http_stub import HttpStub
from tests.support.waiting import at_once, until, until_equal

TTL = 60.0


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpStub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HttpStub() as stub:
        stub.otherwise = 200
        stub.answers |= {"/users/8": 404, "/users/9": 403}
        yield stub


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the check's clock forward."""
    return clock_of(user_check, monkeypatch).forward


@pytest.fixture
def dismissed() -> list[tuple[str, Verdict]]:
    return []


@pytest.fixture
async def check(platform: HttpStub, dismissed: list[tuple[str, Verdict]]) -> AsyncIterator[HttpUserCheck]:
    check = HttpUserCheck(
        f"{platform.url}/users", TTL, Verdict.UNCERTAIN, lambda user, why: dismissed.append((user, why))
    )
    yield check
    platform.open.set()
    await check.aclose()


async def test_equal_questions_are_asked_once(check: HttpUserCheck, platform: HttpStub) -> None:
    platform.open.clear()
    waiting = [asyncio.create_task(check("7")) for _ in range(20)]
    await until(lambda: platform.asked)
    waiting.pop(0).cancel()  # who stops waiting ends it for nobody else
    waiting.append(asyncio.create_task(check("7")))
    platform.open.set()
    assert set(await asyncio.gather(*waiting)) == {Verdict.WELCOME}
    assert platform.asked == ["/users/7"]


async def test_an_aged_welcome_lets_in_at_once_while_it_is_asked_anew(
    check: HttpUserCheck, platform: HttpStub, later: Callable[[float], None]
) -> None:
    assert await check("7") is Verdict.WELCOME
    platform.open.clear()
    later(TTL + 1)
    assert [at_once(check("7")) for _ in range(20)] == [Verdict.WELCOME] * 20
    await until_equal(lambda: platform.asked, ["/users/7"] * 2)
    platform.open.set()
    await until(lambda: platform.under_way == 0)
    assert at_once(check("7")) is Verdict.WELCOME
    assert len(platform.asked) == 2


async def test_who_was_let_in_by_an_aged_answer_is_dismissed_by_the_new_one(
    check: HttpUserCheck, platform: HttpStub, later: Callable[[float], None], dismissed: list[tuple[str, Verdict]]
) -> None:
    await check("7")
    platform.answers["/users/7"] = 403
    later(TTL + 1)
    assert at_once(check("7")) is Verdict.WELCOME
    await until_equal(lambda: dismissed, [("7", Verdict.BLOCKED)])
    assert at_once(check("7")) is Verdict.BLOCKED


@pytest.mark.parametrize("user", ["8", "9"])
async def test_an_aged_refusal_is_asked_anew_and_waited_for(
    check: HttpUserCheck, platform: HttpStub, later: Callable[[float], None], user: str
) -> None:
    assert await check(user) in {Verdict.UNKNOWN, Verdict.BLOCKED}
    platform.answers[f"/users/{user}"] = 200
    later(TTL + 1)
    assert await check(user) is Verdict.WELCOME


async def test_a_crowd_waits_for_its_turn_and_is_let_in(
    check: HttpUserCheck, platform: HttpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_check, "_AT_ONCE", 3)
    monkeypatch.setattr(user_check, "_TIMEOUT", 2.0)
    platform.delay = 0.3  # the last turn comes after what a single answer may take
    patient = HttpUserCheck(f"{platform.url}/users", TTL, Verdict.UNCERTAIN)
    try:
        verdicts = await asyncio.gather(*(patient(str(user)) for user in range(100, 124)))
    finally:
        await patient.aclose()
    assert set(verdicts) == {Verdict.WELCOME}
    assert platform.most_at_once == 3


async def test_a_platform_that_hangs_is_not_waited_for_for_ever(
    platform: HttpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_check, "_PATIENCE", 0.1)
    monkeypatch.setattr(user_check, "_AT_ONCE", 1)
    platform.open.clear()
    check = HttpUserCheck(f"{platform.url}/users", TTL, Verdict.UNCERTAIN)
    try:
        assert set(await asyncio.gather(check("7"), check("10"))) == {Verdict.UNCERTAIN}
    finally:
        platform.open.set()
        await check.aclose()


async def test_of_an_answer_without_end_only_the_status_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(user_check, "_PATIENCE", 5.0)  # without a bound it is read for so long, into memory
    async with endless_answer(b"x" * 4096) as url:
        check = HttpUserCheck(f"{url}/users", TTL, Verdict.UNCERTAIN)
        assert await check("7") is Verdict.WELCOME
        await check.aclose()


@pytest.mark.parametrize("status", [204, 301, 401, 500])
async def test_an_answer_that_is_none_is_told_as_it_came(
    check: HttpUserCheck, platform: HttpStub, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    platform.answers["/users/7"] = status
    assert await check("7") is Verdict.UNCERTAIN
    assert [getattr(record, "error", None) for record in caplog.records if record.name == user_check.__name__] == [
        f"it answered {status}"
    ]


async def test_a_check_that_is_closed_gives_up_what_is_under_way(platform: HttpStub) -> None:
    check = HttpUserCheck(f"{platform.url}/users", TTL, Verdict.UNCERTAIN)
    platform.open.clear()
    waiting = asyncio.create_task(check("7"))
    await until(lambda: platform.asked)
    await check.aclose()
    await asyncio.wait({waiting}, timeout=10)
    assert waiting.cancelled()
