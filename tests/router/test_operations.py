"""Idempotency keys and traces."""

from __future__ import annotations

import asyncio
import re

import pytest

from router.operations import (
    KEY_MAX_LENGTH,
    KeyReused,
    Operation,
    Origin,
    claim,
    digest_of,
    key_in_body,
    key_in_header,
    made_key,
)
from shared.errors import InvalidMessage
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.trace_context import traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
FIRST, LATER = Origin(TRACE, 1000), Origin(TRACE.replace("4bf9", "aaaa"), 2000)


@pytest.mark.parametrize("header", [TRACE, TRACE[:-2] + "00"])
def test_the_callers_trace_goes_on(header: str) -> None:
    assert traceparent(header) == header
    assert Origin(header, 0).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        TRACE.upper(),
        TRACE[:-1],
        TRACE + "\n",
        " " + TRACE,
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        f"ff{TRACE[2:]}",
        TRACE.replace("-", "_"),
        TRACE + " injected",
    ],
)
def test_a_trace_that_is_none_is_replaced_by_a_fresh_one(header: str | None) -> None:
    one, two = traceparent(header), traceparent(header)
    assert FORM.fullmatch(one)
    assert one != two
    assert one != header


def operation(caller: str = "caller", key: str = "key", digest: str = "digest") -> Operation:
    return Operation(caller, key, digest, explicit=True)


async def test_the_first_call_with_a_key_fixes_what_repetitions_get(link: RedisLink, keys: Keys) -> None:
    assert await claim(link, keys, operation(), FIRST) == FIRST
    assert await claim(link, keys, operation(), LATER) == FIRST


async def test_the_same_key_with_another_body_is_refused(link: RedisLink, keys: Keys) -> None:
    await claim(link, keys, operation(), FIRST)
    with pytest.raises(KeyReused):
        await claim(link, keys, operation(digest="other"), LATER)
    assert await claim(link, keys, operation(), LATER) == FIRST


async def test_keys_belong_to_their_caller(link: RedisLink, keys: Keys) -> None:
    await claim(link, keys, operation(), FIRST)
    assert await claim(link, keys, operation("another", digest="other"), LATER) == LATER
    assert await claim(link, keys, operation("caller\0k", "ey", "other"), LATER) == LATER


async def test_of_many_at_once_one_is_the_first(link: RedisLink, keys: Keys) -> None:
    origins = [Origin(TRACE, number) for number in range(20)]
    claimed = await asyncio.gather(*(claim(link, keys, operation(), origin) for origin in origins))
    assert len(set(claimed)) == 1


async def test_a_claim_holds_for_a_day(link: RedisLink, keys: Keys) -> None:
    await claim(link, keys, operation(), FIRST)
    (name,) = await link.send("KEYS", f"{keys.prefix}:claim:*")
    assert 86_390_000 < await link.send("PTTL", name) <= 86_400_000


@pytest.mark.parametrize("key", ["x", "x" * KEY_MAX_LENGTH, "a key with spaces", "{}\"'"])
def test_printable_ascii_is_a_key(key: str) -> None:
    assert key_in_header(key) == key_in_body(key) == key


@pytest.mark.parametrize("key", ["", "x" * (KEY_MAX_LENGTH + 1), "钥匙", "a\nb", "\x7f", "é"])
def test_anything_else_is_no_key(key: str) -> None:
    with pytest.raises(InvalidMessage, match="Idempotency-Key"):
        key_in_header(key)
    with pytest.raises(InvalidMessage, match="idempotency_key"):
        key_in_body(key)


def test_made_keys_are_keys_and_never_the_same() -> None:
    made = {made_key() for _ in range(1000)}
    assert len(made) == 1000
    assert all(key_in_header(key) == key for key in made)


def test_a_digest_tells_bodies_and_paths_apart() -> None:
    assert digest_of("/a", b"x") == digest_of("/a", b"x")
    assert len({digest_of("/a", b"x"), digest_of("/a", b"y"), digest_of("/b", b"x"), digest_of("/a", b"")}) == 4
    assert " " not in digest_of("/a", b"x")
