"""Bringing a feed's table of newest values up to the one in Redis."""

from __future__ import annotations

from node.feed import Feed
from node.state_table import StateTable
from shared.ids import BEGINNING, Position
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.states import parse_record


async def catch_up_states(feed: Feed, link: RedisLink, keys: Keys, upto: Position = BEGINNING) -> None:
    """Read what has changed since the feed's table was last read; newer values from the bus win.

    Args:
        upto: a revision that Redis is known to have reached.

    Raises:
        RedisError: nothing was read, or not all of it; doing it again does no harm.
    """
    if feed.states is None:
        feed.states = StateTable()
    table, names = feed.states, keys.states(feed.tag, feed.stream)
    # A server that came back empty counts its revisions from one again: then everything is read.
    since = table.confirmed.n if upto.epoch <= table.confirmed.epoch else 0
    videos = await link.send("ZRANGEBYSCORE", names.revisions, f"({since}", "+inf")
    table.confirmed = max(table.confirmed, upto)
    if not videos:
        return
    records = await link.send("HMGET", names.table, *videos)
    now = link.server_ms()
    states = [parse_record(video, record) for video, record in zip(videos, records, strict=True) if record is not None]
    for state in sorted(states, key=lambda state: state.revision):
        if state.final or state.expires_ms <= now:
            feed.end_state(state.video_id, state.revision, state.expires_ms / 1000)
        else:
            feed.hear_state(state.video_id, state.revision, state.payload, state.expires_ms / 1000)
        table.confirmed = max(table.confirmed, state.revision)
