"""What was published and is not written yet can be changed, whenever it is written."""

from __future__ import annotations

from typing import Any

import pytest

from node import inbox_marks
from node.history import History
from node.inbox_service import InboxService, NotYet, Outcome
from node.inbox_view import UnknownNotification
from router.archive_store import ArchiveStore
from shared.database import Database
from shared.ids import Position, event_id
from shared.keys import SHARED_TAG, Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.inbox.shelf import BOB, event
from tests.shared.press import Press

CHANGES = pytest.mark.parametrize("change", ["read", "delete"])


@pytest.fixture
def inbox(database: Database, link: RedisLink, keys: Keys) -> InboxService:
    return InboxService(database, link, keys, History(link, keys))


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys, archive_max_bytes=10_000_000)


async def make(change: str, inbox: InboxService, name: str) -> Outcome:
    return await (inbox.read(BOB, [name]) if change == "read" else inbox.delete(BOB, name))


@CHANGES
async def test_what_is_written_just_after_it_was_looked_for_is_found(
    inbox: InboxService,
    database: Database,
    link: RedisLink,
    keys: Keys,
    press: Press,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    position = Position.parse((await press.event("all")).position)
    work = "mark_read" if change == "read" else "remove"
    look, looks = getattr(inbox_marks, work), 0

    async def look_and_have_it_written(*args: Any) -> Any:
        nonlocal looks
        found, looks = await look(*args), looks + 1
        if looks == 1:
            await ArchiveStore(database).write([event("all", position)])
            await link.send("XTRIM", keys.archive(SHARED_TAG), "MAXLEN", 0)
        return found

    monkeypatch.setattr(inbox_marks, work, look_and_have_it_written)
    name = event_id("all", position)
    outcome = await make(change, inbox, name)
    assert (outcome.changed, outcome.unknown, looks) == ([name], [], 2)


@CHANGES
async def test_what_is_not_written_for_long_is_not_taken_for_unknown(
    inbox: InboxService, press: Press, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("node.inbox_service._PATIENCE", 0.2)
    published = await press.event("all")
    with pytest.raises(NotYet):
        await make(change, inbox, event_id("all", Position.parse(published.position)))


@CHANGES
async def test_what_was_never_published_is_unknown_while_something_else_waits(
    inbox: InboxService, press: Press, change: str
) -> None:
    position = Position.parse((await press.event("all")).position)
    name = event_id("all", Position(position.epoch, position.n + 1))
    if change == "delete":
        with pytest.raises(UnknownNotification):
            await make(change, inbox, name)
    else:
        outcome = await make(change, inbox, name)
        assert (outcome.changed, outcome.unknown) == ([], [name])
