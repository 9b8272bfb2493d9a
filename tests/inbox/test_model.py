"""Whatever happens in whatever order: lists and counts are what a naive inbox says."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import node.inbox_count
import node.inbox_list
import router.archive_store
import router.inbox_removal
from node.inbox_count import count
from node.inbox_list import Wanted, list_page
from node.inbox_marks import mark_read, read_up_to, remove
from node.inbox_view import View
from router.archive_batch import Event
from router.archive_store import ArchiveStore
from router.inbox_removal import erase_user, remove_expired, remove_older
from shared.database import Database
from shared.ids import Position
from shared.inbox_tables import Base, audience_of_user
from tests.inbox.naive import NaiveInbox, Note
from tests.inbox.shelf import ANN, BOB, EPOCH, event

VIEWS = (BOB, ANN)
AUDIENCES = ("user:bob", "user:ann", "admin", "all")
NOW = EPOCH

small = st.integers(0, 12)
steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(AUDIENCES), st.sampled_from(["a", "b"]), small, st.none() | small),
    st.tuples(st.just("publish"), st.just("all"), st.just("a"), small, st.none() | small),
    st.tuples(st.just("write")),
    st.tuples(st.just("write again")),
    st.tuples(st.just("read"), st.sampled_from(VIEWS), st.lists(st.tuples(st.integers(0, 2), small), max_size=4)),
    st.tuples(st.just("read up to"), st.sampled_from(VIEWS), st.integers(0, 2), small),
    st.tuples(st.just("delete"), st.sampled_from(VIEWS), st.integers(0, 2), small),
    st.tuples(st.just("time passes"), st.integers(1, 5)),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("drop older"), small),
    st.tuples(st.just("new epoch"), st.integers(0, 3)),
    st.tuples(st.just("erase"), st.sampled_from(VIEWS)),
)


class Story:
    """An inbox and a naive one to which the same happens."""

    def __init__(self, database: Database, clock: SimpleNamespace) -> None:
        self.database, self.clock, self.naive = database, clock, NaiveInbox()
        self.store = ArchiveStore(database)
        self.epoch = EPOCH
        self.tops: dict[str, int] = dict.fromkeys(AUDIENCES, 0)
        self.waiting: list[tuple[str, Note, Event]] = []
        self.written: list[Event] = []
        self.erased: dict[str, Position] = {}

    @property
    def now(self) -> int:
        return int(self.clock.now)

    async def step(self, name: str, *args: Any) -> None:
        await getattr(self, name.replace(" ", "_"))(*args)

    async def publish(self, audience: str, type: str, published: int, expires: int | None) -> None:
        self.tops[audience] += 1
        position = Position(self.epoch, self.tops[audience])
        note = Note(position, type, published + 1, None if expires is None else NOW + expires)
        written = event(audience, position, type=type, published=note.published, expires=note.expires)
        self.waiting.append((audience, note, written))

    async def write(self) -> None:
        for audience, note, _ in self.waiting:
            if note.position > self.erased.get(audience, Position(0, 0)):
                self.naive.add(audience, note)
        self.written = [written for _, _, written in self.waiting]
        self.waiting = []
        await self.store.write(list(self.written))

    async def write_again(self) -> None:
        written = await self.store.write(list(self.written))
        assert written.archived == 0

    async def read(self, view: View, picks: list[tuple[int, int]]) -> None:
        places: dict[Any, set[Position]] = {}
        for index, n in picks:
            kind = view.kinds[index % len(view.kinds)]
            places.setdefault(kind, set()).add(Position(self.epoch, n))

        before = self.naive.revisions[view.user_id]
        for kind, positions in places.items():
            for position in positions:
                self.naive.read(view, kind, position)
        self.naive.revisions[view.user_id] = min(self.naive.revisions[view.user_id], before + 1)
        await mark_read(self.database, view, places)

    async def read_up_to(self, view: View, index: int, n: int) -> None:
        kind, position = view.kinds[index % len(view.kinds)], Position(self.epoch, n)
        self.naive.read_up_to(view, kind, position)
        await read_up_to(self.database, view, {kind: position})

    async def delete(self, view: View, index: int, n: int) -> None:
        kind, position = view.kinds[index % len(view.kinds)], Position(self.epoch, n)
        assert await remove(self.database, view, kind, position) == self.naive.delete(view, kind, position)

    async def time_passes(self, ms: int) -> None:
        self.clock.now += ms

    async def sweep(self) -> None:
        self.naive.drop_expired(self.now)
        while await remove_expired(self.database, self.now):
            pass

    async def drop_older(self, published: int) -> None:
        self.naive.drop_older(published)
        while await remove_older(self.database, published):
            pass

    async def new_epoch(self, forgotten: int) -> None:
        """Redis has forgotten its last events; their numbers come again under another epoch."""
        self.waiting = []
        self.epoch += 1
        self.tops = {audience: max(0, n - forgotten) for audience, n in self.tops.items()}

    async def erase(self, view: View) -> None:
        audience = audience_of_user(view.user_id)
        top = Position(self.epoch, self.tops[audience])
        self.erased[audience] = top
        self.naive.erase(view, top)
        await erase_user(self.database, view.user_id, top)

    async def compare_counts(self) -> None:
        for view in VIEWS:
            tally = await count(self.database, view)
            assert tally.unread == {kind: self.naive.unread(view, kind, self.now) for kind in view.kinds}
            assert tally.as_of == {kind: self.naive.tops[view.audience(kind)] for kind in view.kinds}
            assert tally.revision == self.naive.revisions[view.user_id]

    async def compare_lists(self) -> None:
        for view in VIEWS:
            for wanted in (Wanted(3), Wanted(2, type="a"), Wanted(4, unread=True), Wanted(3, type="b", unread=True)):
                expected = self.naive.listed(view, self.now, type=wanted.type, unread=wanted.unread)
                assert await self.listed(view, wanted) == expected

    async def listed(self, view: View, wanted: Wanted) -> list[Any]:
        """Return a whole list, page by page."""
        items: list[Any] = []
        while True:
            page = await list_page(self.database, view, wanted)
            assert len(page.items) <= wanted.limit
            items += [(item.kind, item.position, bool(item.read)) for item in page.items]
            if page.below is None:
                return items
            wanted = wanted._replace(below=page.below)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time as the calls see it, in ms since 1970; and spans so short that every story has some."""
    clock = SimpleNamespace(now=NOW)
    clock.time = lambda: clock.now / 1000
    for module in (node.inbox_count, node.inbox_list):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(router.archive_store, "SPAN", 3)
    monkeypatch.setattr(router.inbox_removal, "CHUNK", 2)
    return clock


def play(url: str, clock: SimpleNamespace, story: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        clock.now = NOW
        async with Database(url, name="tests", timeout=60) as database:
            async with database.writing() as connection:
                for table in reversed(Base.metadata.sorted_tables):
                    await connection.execute(table.delete())
            stage = Story(database, clock)
            for step in story:
                await stage.step(*step)
                await stage.compare_counts()
            await stage.compare_lists()

    asyncio.run(run())


def test_an_inbox_is_what_a_naive_one_is(database_url: str, clock: SimpleNamespace):
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(steps, min_size=8, max_size=25))
    def holds(story: list[tuple[Any, ...]]) -> None:
        play(database_url, clock, story)

    holds()
