"""One client against a node that follows a script: what it sends, when it comes back, and what it finds wrong."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtests.swarm.identities import Minting
from loadtests.swarm.options import Options
from loadtests.swarm.station import Station
from loadtests.swarm.streams import Flaw, Tops
from loadtests.swarm.watcher import Watcher

SECRET = "a-secret-of-more-than-thirty-two-bytes"
CURSOR = "u.Nw.1-5,all.1-9"
Script = Callable[[ServerConnection], Awaitable[None]]


class Stage:
    """A watcher in a thread, the rows that it fired, and what it asked the node for."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str, str]] = Counter()
        self.asked: list[dict[str, list[str]]] = []
        self.tokens: list[str] = []
        self.at: list[float] = []
        self.station = Station(self._fire)

    def _fire(self, *, request_type: str, name: str, exception: Exception | None, **_: Any) -> None:
        if exception is None:
            self.rows[request_type, name] += 1
        else:
            self.failures[request_type, name, str(exception)] += 1


def welcome(**more: Any) -> str:
    fields = {"type": "connected", "recovered": None, "cursor": CURSOR, "heartbeat_interval_ms": 60_000, **more}
    return json.dumps(fields)


def event(event_id: str, **fields: Any) -> str:
    return json.dumps(
        {"type": "order", "sent": time.time_ns() // 1000, **fields, "id": event_id}, separators=(",", ":")
    )


def progress(percent: float, sent: int | None = None) -> str:
    text = f"x @{sent or time.time_ns() // 1000}"
    return json.dumps({"type": "transcode_progress", "video_id": 1, "progress": percent, "message": text})


async def forbidden(socket: ServerConnection) -> None:
    """End the play: nobody comes back after this."""
    await socket.close(4403)


@asynccontextmanager
async def played(*scripts: Script, admin: bool = False, **more: Any) -> AsyncIterator[tuple[Stage, Watcher]]:
    """Let a watcher live through the scripts, a connection each, and be refused for good after the last."""
    stage, rest = Stage(), iter((*scripts, forbidden))

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        stage.at.append(time.monotonic())
        stage.asked.append(parse_qs(urlsplit(socket.request.path).query))
        stage.tokens.append(socket.request.headers["Sec-WebSocket-Protocol"].removeprefix("bearer, "))
        await next(rest)(socket)

    async with serve(handle, "127.0.0.1", 0, subprotocols=["bearer"]) as server:  # type: ignore[list-item]
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        stage.station.play(_options(url))
        watcher = Watcher(stage.station, "7", admin=admin, dice=random.Random(1), **more)
        async with asyncio.timeout(60):
            await asyncio.to_thread(watcher.watch)
        yield stage, watcher


def _options(url: str) -> Options:
    given = {"ws_urls": (url,), "issuer": Minting(SECRET), "users": ("7",), "admins": ("1",)}
    unused = dict.fromkeys(Options.__slots__)
    return Options(**{**unused, **given, "back_off": 0.05, "patience": 1, "verify": True})  # type: ignore[arg-type]


def saying(*texts: str, code: int = 1006) -> Script:
    async def script(socket: ServerConnection) -> None:
        for text in texts:
            await socket.send(text)
        if code == 1006:
            socket.transport.abort()
        else:
            await socket.close(code)

    return script


async def test_it_comes_back_with_the_last_id_of_each_stream():
    back = welcome(recovered=True, cursor="u.Nw.1-6,all.1-9")
    async with played(saying(welcome(), event("u.Nw.1-6"), code=1013), saying(back, code=1013)) as (stage, watcher):
        assert stage.asked == [{}, {"since": ["u.Nw.1-6,all.1-9"]}, {"since": ["u.Nw.1-6,all.1-9"]}]
        assert stage.rows["WS", "connect user"] == 1
        assert stage.rows["WS", "resume user"] == 1
        assert watcher.streams.missing() == {}


async def test_a_node_that_leaves_is_obeyed_to_the_millisecond_or_later():
    leaving = saying(welcome(), json.dumps({"type": "reconnect", "retry_after_ms": 400}), code=1012)
    async with played(leaving) as (stage, _):
        assert stage.at[1] - stage.at[0] >= 0.4
        assert stage.station.tally["sent away"] == stage.station.tally["closed 1012"] == 1
        assert not any(kind == "WS attempt" and "1012" in words for kind, _, words in stage.failures)


async def test_events_out_of_order_twice_and_missing_are_found():
    texts = [event(f"all.1-{n}") for n in (10, 12, 11, 12, 15)]
    async with played(saying(welcome(), *texts, code=1013)) as (stage, watcher):
        watcher.leave(Tops())
        assert (stage.station.tally[Flaw.SWAPPED], stage.station.tally[Flaw.DOUBLED]) == (1, 1)
        assert stage.failures["CHECK", "lost (all)", "lost"] == 2
        watcher.leave(Tops())
        assert stage.failures["CHECK", "lost (all)", "lost"] == 2


async def test_what_routers_answered_for_and_never_came_is_lost_to_each_client():
    async with played(saying(welcome(), event("all.1-10"), code=1013)) as (stage, watcher):
        tops = Tops()
        tops.answered(["all.1-12", "u.Nw.1-6", "admin.1-99"])
        assert not watcher.has_everything(tops)
        watcher.leave(tops)
        assert stage.failures["CHECK", "lost (all)", "lost"] == 2
        assert stage.failures["CHECK", "lost (users)", "lost"] == 1


async def test_latency_is_a_row_by_type_and_audience_and_what_was_sent_before_the_welcome_another():
    later = time.time_ns() // 1000 + 60_000_000
    texts = (event("u.Nw.1-6"), event("all.1-10", sent=later), progress(10, later))
    async with played(saying(welcome(), *texts, code=1013)) as (stage, _):
        assert stage.rows["catch up", "order → users"] == 1
        assert stage.rows["deliver", "order → all"] == 1
        assert stage.rows["deliver", "transcode_progress → users"] == 1


async def test_progress_that_goes_back_is_found_and_so_is_progress_that_stands_still():
    texts = (progress(10), progress(30), progress(20))
    async with played(saying(welcome(), *texts, code=1013), admin=True) as (stage, watcher):
        assert stage.failures["CHECK", "state went backwards (admin)", "state went backwards"] == 1
        tops = Tops()
        tops.moved(1, 40)
        assert not watcher.has_everything(tops)
        watcher.leave(tops)
        assert stage.failures["CHECK", "stale state (admin)", "stale state"] == 1


async def test_an_expired_token_is_replaced_and_a_second_refusal_is_the_end():
    async with played(saying(welcome(), code=4401), saying(code=4401), saying(code=4401)) as (stage, _):
        assert len(stage.tokens) == 3
        assert stage.failures["CHECK", "closed for good (user)", "closed for good"] == 1


async def test_a_gap_that_the_node_tells_of_is_a_failure_once():
    told = json.dumps({"type": "resync", "cursor": "all.1-50"})
    async with played(saying(welcome(), told, event("all.1-51"), code=1013)) as (stage, watcher):
        assert stage.station.tally[Flaw.FORGOTTEN] == 1
        assert watcher.streams.missing() == {}


async def test_it_pings_at_the_interval_it_was_told_and_gives_a_silent_node_up():
    async def answers_twice(socket: ServerConnection) -> None:
        await socket.send(welcome(heartbeat_interval_ms=1000))
        for _ in range(2):
            assert await socket.recv() == "ping"
            await socket.send("pong")
        await socket.wait_closed()

    async with played(answers_twice) as (stage, _):
        assert stage.rows["WS", "ping"] == 2
        assert stage.failures["WS attempt", "user cut off", "no answer to ping"] == 1


async def test_an_admin_asks_for_the_counters_and_finds_itself_counted():
    async def counts(socket: ServerConnection) -> None:
        await socket.send(welcome())
        for admins in (1, 0):
            assert await socket.recv() == "get_stats"
            await socket.send(json.dumps({"type": "stats", "total_admin_connections": admins}))
        await socket.close(1013)

    async with played(counts, admin=True, commands=((0.5, "get_stats"),)) as (stage, _):
        assert stage.rows["WS", "get_stats"] == 2
        assert stage.failures["WS", "get_stats", "the counters do not count who asked"] == 1


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 4403])
async def test_whoever_is_at_fault_stays_away(code):
    async with played(saying(welcome(), code=code)) as (stage, _):
        assert len(stage.at) == 1
        assert stage.failures["CHECK", "closed for good (user)", "closed for good"] == 1


async def test_an_upgrade_that_is_refused_is_an_attempt_and_not_a_failure_of_the_check():
    async def cut_after(socket: ServerConnection) -> None:
        socket.transport.abort()

    async with played(cut_after, cut_after) as (stage, _):
        assert len(stage.at) == 3
        assert [kind for kind, _, _ in stage.failures if kind == "CHECK"] == ["CHECK"]  # the 4403 that ends the play
