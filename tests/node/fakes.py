"""A transport that records, a host that obeys, and a history in memory: what the sans-I/O parts are tried with."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from websockets.frames import Frame, Opcode

from node import frames
from node.catch_up import CatchUp
from node.counters import NodeCounters
from node.feed import Feed
from node.history import Entry, Page
from node.session import Session
from shared.auth import Principal
from shared.errors import RedisUnavailable
from shared.ids import Position
from shared.server_clock import ServerClock
from tests.node.reading import server_frames


class Transport:
    """Records what is written. It is full or not as its client reads or not."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.written: list[bytes] = []
        self.buffered: list[bytes] = []
        self.reading = True
        self.stalled = False
        self.closing = self.aborted = False

    def write(self, data: bytes) -> None:
        assert not self.aborted, "written to after the abort"
        if self.buffered or self.stalled:
            first = not self.buffered
            self.buffered.append(data)
            if first and self.session is not None:
                self.session.pause_writing()
        else:
            self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.buffered))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    # --- the client's side

    def stall(self) -> None:
        """The client reads nothing more: what is written from now on stays in the buffer."""
        self.stalled = True

    def drain(self) -> None:
        """The client reads again, everything."""
        self.stalled = False
        self.sip()

    def sip(self) -> None:
        """The client reads what is there."""
        had, self.buffered = self.buffered, []
        self.written += had
        if had and self.session is not None:
            self.session.resume_writing()

    @property
    def received(self) -> list[Frame]:
        """What the client has got, as the library reads it."""
        return server_frames(b"".join(self.written))

    @property
    def texts(self) -> list[str]:
        return [bytes(frame.data).decode() for frame in self.received if frame.opcode == Opcode.TEXT]


class Host:
    """A node as a session sees it."""

    frame_max_bytes = 4096

    def __init__(self) -> None:
        self.time = 1000.0
        self.commands_left = 10**9
        self.catch_up = CatchUp()
        self.behind_calls: list[Session] = []
        self.fell_behind_calls = 0
        self.closing_calls: list[tuple[Session, int]] = []
        self.closed_calls: list[Session] = []
        self.refresh_tokens: list[str] = []
        self.catches_up = False
        self.acknowledgements: list[bytes] = []
        self.asked_for: set[bytes] = set()

    def now(self) -> float:
        return self.time

    def may_command(self, user_id: str) -> bool:
        self.commands_left -= 1
        return self.commands_left >= 0

    def stats_frame(self) -> bytes:
        return Frame(Opcode.TEXT, b'{"type":"stats"}').serialize(mask=False)

    def refresh(self, session: Session, token: str) -> None:
        self.refresh_tokens.append(token)

    def behind(self, session: Session) -> None:
        self.behind_calls.append(session)
        if self.catches_up:
            self.catch_up.start(session)

    def fell_behind(self) -> None:
        self.fell_behind_calls += 1

    def closing(self, session: Session) -> None:
        self.closing_calls.append((session, session.close_code))
        for feed in session.feeds:
            feed.remove(session)

    def closed(self, session: Session) -> None:
        self.closed_calls.append(session)

    def acknowledged(self, session: Session, frame: frames.Frame) -> bool:
        self.acknowledgements.append(frame.payload)
        return frame.payload in self.asked_for


def make_session(host: Host, *, is_admin: bool = False) -> tuple[Session, Transport]:
    transport = Transport()
    session = Session(host, transport, is_admin=is_admin)  # type: ignore[arg-type]
    transport.session = session
    session.identify(Principal("7", "alice", is_admin=is_admin, expires_at=2_000_000_000.0))
    return session, transport


class MemoryHistory:
    """One stream of events as Redis keeps it, in memory. Reading takes a turn of the loop, as a read does."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = self.birth = epoch
        self.top: Position | None = None
        self.entries: list[Entry] = []
        self.reads = 0
        self.counts: list[int] = []  # of how many events each read asked
        self.away = False
        self.page = 256
        self.gate: asyncio.Event | None = None

    def append(
        self, payload: bytes, expires_at: int | None = None, ends: tuple[int, Position] | None = None
    ) -> Position:
        before, self.top = self.top, Position(self.epoch, self.newest.n + 1)
        first_of_its_epoch = before is not None and before.epoch != self.epoch
        self.entries.append(Entry(self.top, payload, expires_at, before if first_of_its_epoch else None, ends))
        return self.top

    def trim(self, keep: int) -> None:
        self.entries = self.entries[len(self.entries) - keep :] if keep else []

    @property
    def newest(self) -> Position:
        return self.top if self.top is not None else Position(self.epoch, 0)

    async def read(self, tag: str, stream: str, after: Position, count: int = 256) -> Page:
        self.reads += 1
        self.counts.append(count)
        await asyncio.sleep(0)
        if self.away:
            raise RedisUnavailable("away")
        page = Page(self.newest, [entry for entry in self.entries if entry.position > after][: min(self.page, count)])
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        return page

    async def is_good(self, tag: str, stream: str, since: Position) -> bool:
        await asyncio.sleep(0)
        if self.away:
            raise RedisUnavailable("away")
        if since.n > 0:
            return since == self.newest or any(entry.position == since for entry in self.entries)
        first = self.entries[0].position.n if self.entries else 0
        return self.birth <= since.epoch <= self.epoch and (self.newest.n == 0 or first == 1)


class MemoryRedis:
    """Several streams, read as :class:`~node.history.History` reads them."""

    def __init__(self, names: list[str]) -> None:
        self.streams = {name: MemoryHistory() for name in names}

    @property
    def away(self) -> bool:
        return any(history.away for history in self.streams.values())

    @away.setter
    def away(self, away: bool) -> None:
        for history in self.streams.values():
            history.away = away

    async def read(self, tag: str, stream: str, after: Position, count: int = 256) -> Page:
        return await self.streams[stream].read(tag, stream, after, count)

    async def is_good(self, tag: str, stream: str, since: Position) -> bool:
        return await self.streams[stream].is_good(tag, stream, since)


class Counters(NodeCounters):
    def __init__(self) -> None:
        super().__init__(ServerClock())


class Tasks:
    """Owns what feeds spawn, and tells of what failed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

    async def settle(self) -> None:
        """Return when nothing is under way any more; raise what failed."""
        while pending := {task for task in self._tasks if not task.done()}:
            await asyncio.wait(pending)
        for task in self._tasks:
            task.result()
        self._tasks.clear()

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


def make_feed(
    history: MemoryHistory, tasks: Tasks, counters: Counters, kind: type[Feed] = Feed, stream: str = "u.Nw"
) -> Feed:
    return kind(stream, "1", history, counters, tasks.spawn)  # type: ignore[arg-type]
