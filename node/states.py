"""Brings a feed's newest values up to those in Redis."""

from __future__ import annotations

from node.feed import Feed
from node.state_table import StateTable
from shared.ids import BEGINNING, Position
from shared.keys import Keys
from shared.link import Link
from shared.states import changed_since


async def catch_up_states(feed: Feed, link: Link, keys: Keys, upto: Position = BEGINNING) -> None:
    """Read what has changed since the feed's table was last read; newer values from the bus win.

    Args:
        upto: a revision that Redis had reached some time ago: what changed after it is left to the bus, or to the next
            time. Without it, everything is read.

    Raises:
        RedisError: nothing was read, or not all of it; doing it again does no harm.
    """
    if feed.states is None:
        feed.states = StateTable()
    table, names = feed.states, keys.states(feed.tag, feed.stream)
    # A server that came back empty numbers its revisions from one again; then everything is read.
    since = table.confirmed.n if upto.epoch <= table.confirmed.epoch else 0
    async for page in changed_since(link, names, since):
        now = link.of(feed.tag).server_ms()
        for state in page:
            if upto > BEGINNING and state.revision > upto:
                continue
            if state.final or state.expires_ms <= now:
                feed.end_state(state.video_id, state.revision, state.expires_ms / 1000)
            else:
                feed.read_state(state.video_id, state.revision, state.payload, state.expires_ms / 1000)
            table.confirmed = max(table.confirmed, state.revision)
    table.confirmed = max(table.confirmed, upto)
