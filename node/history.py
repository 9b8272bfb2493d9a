"""Reading the streams of events back from Redis."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from shared.ids import BEGINNING, Position
from shared.keys import Keys
from shared.link import Link

PAGE: Final = 256  # entries per read: a bounded answer, and others are served in between


@dataclass(frozen=True, slots=True)
class Entry:
    """An event of a stream.

    Attributes:
        payload: its JSON without the closing brace.
        expires_at: ms since the Unix epoch.
        previous: the event before it, told by the first one of an epoch.
        ends: the video whose transcode it ends, and the revision of that end.
        trace: its ``traceparent``, if it is sampled.
    """

    position: Position
    payload: bytes
    expires_at: int | None
    previous: Position | None = None
    ends: tuple[int, Position] | None = None
    trace: bytes | None = None

    def json(self, stream: str) -> bytes:
        """Return the event as browsers get it."""
        return event_json(stream, self.position, self.payload)

    def follows(self, position: Position) -> bool:
        """Whether nothing is missing between a position and this event."""
        if self.position.n != position.n + 1:
            return False
        return position.n == 0 or self.position.epoch == position.epoch or self.previous == position


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stands.

    Attributes:
        birth, epoch: of its hash tag: the first and the last one.
        states: the newest revision of its audience's states.
    """

    top: Position
    birth: int
    epoch: int
    states: Position


@dataclass(frozen=True, slots=True)
class Page:
    """What came after a position.

    Attributes:
        top: the stream's newest position when the page was read; later entries may be in it already.
    """

    top: Position
    entries: list[Entry]


class History:
    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self.reads = 0

    async def read(self, tag: str, stream: str, after: Position, count: int = PAGE) -> Page:
        """Return up to ``count`` events after a position. Raises ``RedisError``."""
        self.reads += 1
        (top, epoch), raw = await asyncio.gather(
            self._link.send("HMGET", self._keys.seq(tag), stream, "#epoch"),
            self._link.send("XRANGE", self._keys.stream(tag, stream), f"({after}", "+", "COUNT", count),
        )
        return Page(_top(top, epoch), [_entry(item) for item in raw])

    async def head(self, tag: str, stream: str) -> Head:
        """Return where a stream stands. Raises ``RedisError``."""
        fields = (stream, "#birth", "#epoch", f"s:{stream}")
        top, birth, epoch, states = await self._link.send("HMGET", self._keys.seq(tag), *fields)
        revision = Position.parse(states) if states is not None else BEGINNING
        return Head(_top(top, epoch), int(birth or 0), int(epoch or 0), revision)

    async def resume(self, tag: str, stream: str, since: Position, head: Head, count: int) -> list[Entry] | None:
        """Return up to ``count`` events after ``since``; None where :meth:`is_good` would say no.

        One read instead of that one's three: the entry at ``since`` comes with those after it.

        Raises:
            RedisError: history cannot be read just now.
        """
        if since == head.top:
            return []
        self.reads += 1
        raw = await self._link.send(
            "XRANGE", self._keys.stream(tag, stream), str(since), "+", "COUNT", count + (since.n > 0)
        )
        entries = [_entry(item) for item in raw]
        if since.n > 0:
            if not entries or entries[0].position != since:
                return None
            entries = entries[1:]
        elif not head.birth <= since.epoch <= head.epoch or (not entries and head.top.n > 0):
            return None
        return entries if not entries or entries[0].follows(since) else None

    async def tops(self, tag: str, streams: list[str]) -> list[tuple[Position, Position]]:
        """Return, of streams of one tag, the newest positions and the newest revisions of their states.

        Raises:
            RedisError: they cannot be read just now.
        """
        fields = (*streams, *(f"s:{stream}" for stream in streams), "#epoch")
        *found, epoch = await self._link.send("HMGET", self._keys.seq(tag), *fields)
        tops, states = found[: len(streams)], found[len(streams) :]
        return [
            (_top(top, epoch), Position.parse(state) if state is not None else BEGINNING)
            for top, state in zip(tops, states, strict=True)
        ]

    async def is_good(self, tag: str, stream: str, since: Position) -> bool:
        """Whether everything after ``since`` is still there.

        It is if it is the newest event, or its entry still exists (then all after it do), or it is the stream's birth
        and the first entry is the first event ever, or there has been none. Everything else, the future included, is
        not.
        """
        key = self._keys.stream(tag, stream)
        (top, epoch, birth), at, first = await asyncio.gather(
            self._link.send("HMGET", self._keys.seq(tag), stream, "#epoch", "#birth"),
            self._link.send("XRANGE", key, str(since), str(since)),
            self._link.send("XRANGE", key, "-", "+", "COUNT", 1),
        )
        newest = _top(top, epoch)
        if since.n > 0:
            return since == newest or bool(at)
        if not int(birth or 0) <= since.epoch <= int(epoch or 0):
            return False
        return newest.n == 0 or (bool(first) and Position.parse(first[0][0]).n == 1)


def event_json(stream: str, position: Position, payload: bytes) -> bytes:
    """Return an event as browsers get it: its payload, and its id at the end."""
    return b'%s,"id":"%s.%d-%d"}' % (payload, stream.encode(), position.epoch, position.n)


def _top(top: bytes | None, epoch: bytes | None) -> Position:
    return Position.parse(top) if top is not None else Position(int(epoch or 0), 0)


def _entry(item: Any) -> Entry:
    position, fields = item
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    expires = values.get(b"x")
    previous = values.get(b"p")
    ends = values.get(b"s")
    return Entry(
        Position.parse(position),
        values[b"m"],
        int(expires) if expires is not None else None,
        Position.parse(previous) if previous is not None else None,
        _end(ends) if ends is not None else None,
        values.get(b"t"),
    )


def _end(text: bytes) -> tuple[int, Position]:
    video, _, revision = text.partition(b"@")
    return int(video), Position.parse(revision)
