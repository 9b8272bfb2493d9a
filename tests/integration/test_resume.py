"""Coming back with ``since``: what was missed follows once and in order, or the client is told that it does not."""

from __future__ import annotations

import asyncio
import random
from itertools import cycle
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.events import ids_of, send


def of(ids: list[str], stream: str) -> list[str]:
    return [id for id in ids if id.startswith(f"{stream}.")]


def moved(event_id: str, *, epoch: int = 0, n: int = 0) -> str:
    """Return the id of another place in the same stream."""
    stream, _, position = event_id.rpartition(".")
    at_epoch, at_n = map(int, position.split("-"))
    return f"{stream}.{at_epoch + epoch}-{at_n + n}"


# --- what `since` may say. {own} and {all} are good; {other} is a good id of another user, {admin} one of the admins.

BAD = {
    "the future of its own stream": "{future},{all}",
    "the future of the stream of all": "{own},{all_future}",
    "an older epoch": "{older},{all}",
    "a newer epoch": "{newer},{all}",
    "another user's stream": "{other},{all}",
    "another user's stream beside its own": "{own},{other},{all}",
    "the admins' stream": "{admin},{all}",
    "the admins' stream beside its own": "{own},{all},{admin}",
    "its own stream alone": "{own}",
    "the stream of all alone": "{all}",
    "its own stream twice": "{own},{all},{own}",
    "the stream of all twice": "{all},{own},{all}",
    "its own stream twice and no other": "{own},{own}",
    "nothing": "",
    "commas": ",,",
    "a comma too many": "{own},{all},",
    "spaces": " {own} , {all} ",
    "text": "garbage",
    "a stream without a position": "u.Nw,all",
    "a number with a leading zero": "{zero},{all}",
    "a number that is none": "{own}x,{all}",
    "a minus": "{minus},{all}",
    "a number of thirty digits": "{own}" + "0" * 30 + ",{all}",
    "other digits": "{arabic},{all}",
    "control characters": "{own}\r\n\x00,{all}",
    "emoji": "💥",
    "513 bytes": "{own},{all}," + "x" * 513,
    "10 KB of ids": "{own},{all}," * 200,
    "10 KB of text": "x" * 10_240,
}


@pytest.mark.parametrize("what", BAD)
async def test_a_since_that_is_not_good_is_not_recovered_and_shows_nothing(cluster: Cluster, what: str) -> None:
    user, other = cluster.number(), cluster.number()
    async with cluster.user(user) as browser:
        own = (await send(cluster, user, 2))[-1]
        everyone = (await send(cluster, "all"))[-1]
        await ids_of(browser, 3)
    missed = (await send(cluster, user, 2))[-1]
    since = BAD[what].format(
        own=own,
        all=everyone,
        other=(await send(cluster, other, 2))[0],
        admin=(await send(cluster, "admin"))[0],
        future=moved(own, n=1000),
        all_future=moved(everyone, n=1000),
        older=moved(own, epoch=-1),
        newer=moved(own, epoch=1),
        zero=own.replace("-", "-0"),
        minus=own.replace("-", "--"),
        arabic=own[:-1] + "٢",
    )
    for node in cluster.nodes:
        async with cluster.user(user, node=node, since=since) as again:
            assert again.connected["recovered"] is False
            assert again.connected["cursor"] == f"{missed},{everyone}", "it stands at the tops"
            live = await send(cluster, user)
            assert await ids_of(again, 1) == live, "nothing of what was missed is shown, what comes is"
            missed = live[0]
            await cluster.nobody_hears(again)
        everyone = of(again.since.split(","), "all")[0]


async def test_an_admin_may_not_come_back_to_its_stream_as_a_user(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        await send(cluster, user)
        await ids_of(browser, 1)
        since = browser.since
    await send(cluster, user)
    async with cluster.admin(user, since=since) as page:
        assert page.connected["recovered"] is False
        assert [cursor.partition(".")[0] for cursor in page.connected["cursor"].split(",")] == ["admin", "all"]
        await cluster.nobody_hears(page)


async def test_without_since_nothing_is_recovered_and_nothing_follows(cluster: Cluster) -> None:
    user = cluster.number()
    missed = await send(cluster, user)
    async with cluster.user(user) as browser:
        assert browser.connected["recovered"] is None
        assert browser.connected["cursor"].split(",")[0] == missed[0]
        await cluster.nobody_hears(browser)


async def test_after_a_recovery_the_cursor_is_the_since_that_was_sent(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        await send(cluster, user)
        await ids_of(browser, 1)
        own, everyone = browser.since.split(",")
    missed = await send(cluster, user, 3)
    for since in (f"{own},{everyone}", f"{everyone},{own}"):
        for node in cluster.nodes:
            async with cluster.user(user, node=node, since=since) as again:
                assert again.connected["recovered"] is True
                assert again.connected["cursor"] == since
                assert await ids_of(again, 3) == missed
                await cluster.nobody_hears(again)
            everyone = of(again.since.split(","), "all")[0]
            since = f"{own},{everyone}"


async def test_a_first_cursor_is_a_place_to_come_back_to_though_nothing_was_ever_sent(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser:
        since = browser.since
    async with cluster.user(user, node=cluster.nodes[1], since=since) as again:
        assert again.connected["recovered"] is True
    missed = await send(cluster, user, 2)
    async with cluster.user(user, node=cluster.nodes[1], since=since) as again:
        assert again.connected["recovered"] is True
        assert await ids_of(again, 2) == missed
        await cluster.nobody_hears(again)


async def test_all_streams_are_replayed_in_order_each_id_once_while_more_comes_in(cluster: Cluster) -> None:
    user = cluster.number()
    here, there = cluster.nodes
    async with cluster.user(user, node=here) as browser, cluster.admin(node=here) as page:
        before = await send(cluster, "all")
        await ids_of(browser, 1)
        await ids_of(page, 1)
    sent: dict[Any, list[str]] = {user: [], "admin": [], "all": []}
    dice = random.Random(3)

    async def traffic(count: int) -> None:
        for _ in range(count):
            audience = dice.choice((user, "admin", "all"))
            sent[audience] += await send(cluster, audience)

    await traffic(90)
    going_on = asyncio.create_task(traffic(60))
    async with (
        cluster.user(user, node=there, since=browser.since) as browser_again,
        cluster.admin(node=there, since=page.since) as page_again,
    ):
        await going_on
        assert before[0] in browser.since.split(",")
        for client, own in ((browser_again, user), (page_again, "admin")):
            assert client.connected["recovered"] is True
            heard = await ids_of(client, len(sent[own]) + len(sent["all"]))
            assert of(heard, "all") == sent["all"]
            assert [id for id in heard if not id.startswith("all.")] == sent[own]
            await cluster.nobody_hears(client)


REACH = 150  # events; history has two hundred of a user's


async def test_a_client_that_comes_and_goes_misses_nothing(cluster: Cluster) -> None:
    user = cluster.number()
    sent: list[str] = []
    done = asyncio.Event()

    heard: list[str] = []

    async def traffic() -> None:
        while not done.is_set():
            if heard and len(sent) - sent.index(heard[-1]) > REACH:
                await asyncio.sleep(0.01)  # while the machine holds up who listens
            else:
                sent.extend(await send(cluster, user))

    going_on = asyncio.create_task(traffic())
    since = None
    for _, node in zip(range(12), cycle(cluster.nodes), strict=False):
        async with cluster.user(user, node=node, since=since) as browser:
            assert browser.connected["recovered"] in (None, True)
            heard += await ids_of(browser, 3)
            await browser.settled()
        heard += [message["id"] for message in browser.unread if message["type"] == "event"]
        since = browser.since
    done.set()
    await going_on
    async with cluster.user(user, since=since) as browser:
        first = sent.index(heard[0])
        heard += await ids_of(browser, len(sent) - first - len(heard))
        await cluster.nobody_hears(browser)
    assert heard == sent[first:]
