"""Calls ``publish.lua`` as its header describes it, without the router's code in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.ids import ADMIN, user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import PUBLISH, Scripts

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@dataclass(frozen=True, slots=True)
class Item:
    """One message for one audience. An audience is ``admin``, ``all`` or a user id."""

    payload: str = '{"type":"x"'
    audience: str = ADMIN
    kind: str = "e"
    operation: str = ""
    name: str = "0"
    digest: str = "digest"
    expires_at: str = ""
    video: str = ""
    state: str = ""
    owner: str = ""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    status: str
    position: str
    online: bool
    places: str


@dataclass(slots=True)
class Press:
    link: RedisLink
    scripts: Scripts
    keys: Keys
    history_length: int = 1000
    history_ttl_ms: int = 60_000
    operation_ttl_ms: int = 60_000
    trace: str = TRACE
    archive_max_bytes: int = 0
    results: list[Result] = field(default_factory=list)

    async def __call__(self, *items: Item, deadline: int = 0) -> list[Result]:
        """Publish items of one hash tag in one script call."""
        reply = await self.raw(*items, deadline=deadline)
        return [
            Result(status, position, online == "1", places)
            for status, position, online, places in (line.split(" ", 3) for line in reply.decode().split("\n")[:-1])
        ]

    async def raw(self, *items: Item, deadline: int = 0) -> Any:
        k, shared = self.keys, items[0].audience in {"admin", "all"}
        tag = SHARED_TAG if shared else bucket(items[0].audience)
        names = [k.seq(tag), *((k.leases, k.totals) if shared else (k.users(tag), k.users(tag))), k.archive(tag)]
        args: list[Any] = [
            deadline,
            "shared" if shared else "users",
            k.node_channel(""),
            self.history_length,
            self.history_ttl_ms,
            self.archive_max_bytes,
        ]
        for item in items:
            stream = item.audience if shared else user_stream(item.audience)
            channel = {"admin": k.admin_channel, "all": k.all_channel}.get(item.audience, item.audience)
            kind = "b" if item.kind == "e" and item.video else item.kind
            names += [k.operation(tag, item.operation), k.stream(tag, stream)]
            args += [
                1,
                item.digest,
                self.operation_ttl_ms if item.operation else 0,
                int(item.fresh),
                f"1000 {self.trace}",
            ]
            args += [kind, item.name, stream, channel, item.payload, item.expires_at or "-"]
            if item.video:
                states = k.states(tag, stream)
                names += [states.table, states.revisions, states.expiries]
                args += [k.progress_channel, item.video, item.state, item.owner]
        return await self.scripts.run(self.link, PUBLISH, names, args)

    async def event(self, audience: str = ADMIN, payload: str = '{"type":"x"') -> Result:
        """Publish one event."""
        (result,) = await self(Item(payload, audience))
        return result

    async def history(self, audience: str = ADMIN) -> list[tuple[str, dict[bytes, bytes]]]:
        """Return what is kept of an audience's events: positions and fields."""
        shared = audience in {"admin", "all"}
        tag, stream = (SHARED_TAG, audience) if shared else (bucket(audience), user_stream(audience))
        entries = await self.link.send("XRANGE", self.keys.stream(tag, stream), "-", "+")
        return [(position.decode(), dict(zip(values[::2], values[1::2], strict=True))) for position, values in entries]

    async def archive(self, tag: str = SHARED_TAG) -> list[tuple[str, bytes]]:
        """Return what waits for the inbox's database in a tag: each entry's id and its envelopes."""
        entries = await self.link.send("XRANGE", self.keys.archive(tag), "-", "+")
        return [(entry.decode(), values[1]) for entry, values in entries]
