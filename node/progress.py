"""What an admin sees at once: where all active transcodes stand.

A node hears the progress channel only while it holds an admin. It subscribes, waits for the confirmation, and then
reads the table: a value published in between is on the bus, and the newer of the two wins.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from node.bus import Bus
from node.feed import Feed
from node.state_table import StateTable
from shared.ids import Position
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.states import State, parse_record, read_states

_LINGER: Final = 30.0  # s without an admin before the node stops listening


class Progress:
    def __init__(self, admins: Feed, bus: Bus, link: RedisLink, keys: Keys) -> None:
        self._admins, self._bus, self._link, self._keys = admins, bus, link, keys
        self._lock = asyncio.Lock()
        self._listening = False
        self._idle_since: float | None = None

    async def listen(self) -> None:
        """Have the table, kept new by the bus. Raises ``RedisError``."""
        self._idle_since = None
        async with self._lock:
            if self._listening:
                return
            if self._admins.states is None:
                self._admins.states = StateTable()
            await self._bus.subscribe(self._keys.progress_channel)
            self._take(await read_states(self._link, self._keys.all_states))
            self._listening = True

    def _take(self, states: list[State]) -> None:
        for state in states:
            ends_at = state.expires_ms / 1000
            if state.final:
                self._admins.end_state(state.video_id, state.revision, ends_at)
            else:
                self._admins.hear_state(state.video_id, state.revision, state.payload, ends_at)

    def behind(self, top: Position) -> bool:
        """Whether the table in Redis, at revision ``top``, has moved on from ours: a value may have been lost."""
        table = self._admins.states
        if not self._listening or table is None:
            return False
        return top.n > table.top.n or (top.n < table.top.n and top.epoch > table.top.epoch)

    async def catch_up(self, top: Position) -> None:
        """Read what changed up to a revision. Raises ``RedisError``."""
        async with self._lock:
            table = self._admins.states
            if table is None or not self.behind(top):
                return
            if top.n < table.top.n:  # Redis has forgotten: begin anew
                self._admins.states = StateTable()
                self._take(await read_states(self._link, self._keys.all_states))
                return
            keys = self._keys.all_states
            videos = await self._link.send("ZRANGEBYSCORE", keys.revisions, f"({table.top.n}", "+inf")
            records = await self._link.send("HMGET", keys.table, *videos) if videos else []
            pairs = zip(videos, records, strict=True)
            self._take([parse_record(video, record) for video, record in pairs if record is not None])

    async def tend(self) -> None:
        """Forget what is over, and stop listening a while after the last admin has gone."""
        if self._admins.states is not None:
            self._admins.states.expire(time.time())
        if not self._listening or self._admins.sessions:
            self._idle_since = None
            return
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > _LINGER:
            self._listening, self._admins.states = False, None
            await self._bus.unsubscribe(self._keys.progress_channel)
