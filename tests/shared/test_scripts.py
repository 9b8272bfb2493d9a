"""How a server that has forgotten our scripts is noticed: it may have forgotten appends too."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from shared import scripts as module
from shared.errors import RedisRefused
from shared.keys import TAGS, Keys
from shared.redis_link import RedisLink
from shared.scripts import CLEAR_NODE, PUBLISH, Script, Scripts
from tests.shared.press import Item, Press
from tests.shared.redis_server import RecordingProxy, RedisServer, until


@pytest.fixture
async def own_link(own_server: RedisServer, scripts: Scripts) -> AsyncIterator[RedisLink]:
    async with RedisLink(own_server.url, name="test", prepare=scripts.prepare) as link:
        assert await link.wait_connected(20)
        yield link


async def epochs(link: RedisLink, keys: Keys) -> list[int]:
    return [int(await link.send("HGET", keys.seq(tag), "#epoch") or 0) for tag in TAGS]


async def test_a_fresh_server_is_taught_and_every_tag_gets_an_epoch_and_a_birth(
    own_link: RedisLink, keys: Keys
) -> None:
    assert min(await epochs(own_link, keys)) > 1_700_000_000_000
    for tag in TAGS:
        epoch, birth = await own_link.send("HMGET", keys.seq(tag), "#epoch", "#birth")
        assert epoch == birth


async def test_a_server_that_knows_the_scripts_keeps_its_epochs(
    own_server: RedisServer, own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    before = await epochs(own_link, keys)
    async with RedisLink(own_server.url, name="another", prepare=scripts.prepare) as other:
        assert await other.wait_connected(20)
        await Press(other, scripts, keys).event()
    assert await epochs(own_link, keys) == before


async def start_anew(link: RedisLink, keys: Keys) -> None:
    """Have the server be like one that has read its data from a file: it has no scripts, and another run id."""
    await link.send("SCRIPT", "FLUSH")
    for tag in TAGS:
        await link.send("HSET", keys.seq(tag), "#run", "its last life's")


async def test_a_server_that_forgot_nothing_but_its_scripts_keeps_its_epochs(
    own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    epochs = [await own_link.send("HGET", keys.seq(tag), "#epoch") for tag in TAGS]
    await own_link.send("SCRIPT", "FLUSH")
    await Press(own_link, scripts, keys).event()
    assert [await own_link.send("HGET", keys.seq(tag), "#epoch") for tag in TAGS] == epochs


async def test_a_server_that_forgot_them_gets_new_epochs_in_every_tag(
    own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    press = Press(own_link, scripts, keys)
    first, before = await press.event(), await epochs(own_link, keys)
    await start_anew(own_link, keys)
    second, after = await press.event(), await epochs(own_link, keys)
    assert all(new > old for new, old in zip(after, before, strict=True))
    (old_epoch, old_n), (new_epoch, new_n) = (map(int, result.position.split("-")) for result in (first, second))
    assert new_epoch > old_epoch
    assert (old_n, new_n) == (1, 2)


async def test_a_master_that_comes_back_without_a_restart_begins_new_epochs(
    own_server: RedisServer, own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    """It knows our scripts from before, and may lack what the master of the meantime did not pass on."""
    before = await epochs(own_link, keys)
    for tag in TAGS:
        await own_link.send("HSET", keys.seq(tag), "#run", "the other master's")
    async with RedisLink(own_server.url, name="another", prepare=scripts.prepare) as other:
        assert await other.wait_connected(20)
    assert all(new > old for new, old in zip(await epochs(own_link, keys), before, strict=True))


async def test_the_birth_of_a_tag_stays_when_its_epoch_rises(own_link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    births = [await own_link.send("HGET", keys.seq(tag), "#birth") for tag in TAGS]
    await start_anew(own_link, keys)
    await Press(own_link, scripts, keys).event()
    assert [await own_link.send("HGET", keys.seq(tag), "#birth") for tag in TAGS] == births


@pytest.mark.parametrize("found_by", ["a new connection", "NOSCRIPT"])
async def test_the_epochs_are_raised_before_any_script_is_loaded(
    own_server: RedisServer, scripts: Scripts, keys: Keys, found_by: str
) -> None:
    """Otherwise an append of somebody else's could come in between, under the old epoch."""
    async with (
        RecordingProxy(own_server.port).running() as proxy,
        RedisLink(proxy.url, name="test", prepare=scripts.prepare) as link,
    ):
        assert await link.wait_connected(20)
        if found_by == "NOSCRIPT":
            await link.send("SCRIPT", "FLUSH")
            proxy.written.clear()
            await Press(link, scripts, keys).event()
        raised = [found.start() for found in re.finditer(rb"\bEVAL\b", proxy.all_written)]
        loaded = [found.start() for found in re.finditer(rb"\bLOAD\b", proxy.all_written)]
        assert len(raised) == len(TAGS)
        assert len(loaded) == len(module._ALL)
        assert max(raised) < min(loaded)
        last_raising = next(number for number, data in reversed(list(enumerate(proxy.written))) if b"EVAL\r\n" in data)
        first_loading = next(number for number, data in enumerate(proxy.written) if b"LOAD\r\n" in data)
        assert last_raising < first_loading, "the loading has to wait until the epochs are known to be raised"


async def test_a_server_that_started_anew_never_issues_an_id_twice(
    own_server: RedisServer, own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    press = Press(own_link, scripts, keys)
    ids = [(await press.event()).position for _ in range(3)]
    await own_link.send("HSET", keys.seq("c"), "#epoch", "99999999999999")  # its clock was ahead
    ids += [(await press.event()).position]
    kept = await own_link.send("HGETALL", keys.seq("c"))
    own_server.kill()
    await until(lambda: not own_link.connected)
    own_server.start()
    # What an append-only file would bring back: all but the last append.
    async with RedisLink(own_server.url, name="file") as file:
        assert await file.wait_connected(20)
        await file.send("HSET", keys.seq("c"), *(x for pair in kept.items() for x in pair), "admin", ids[2])
    assert await own_link.wait_connected(20)
    await own_link.send("SCRIPT", "FLUSH")
    ids += [(await press.event()).position]
    assert len(set(ids)) == len(ids)
    assert int(ids[-1].split("-")[0]) > 99999999999999


async def test_a_server_that_comes_back_empty_at_once_after_a_crowd_has_raised_its_epoch_issues_no_id_twice(
    own_server: RedisServer, scripts: Scripts, keys: Keys
) -> None:
    """Each of a crowd that connects at once raises the epoch: counted in seconds it ran minutes ahead of the clock."""
    ids: list[str] = []
    for crowd in (40, 1):
        async with contextlib.AsyncExitStack() as stack:
            links = [RedisLink(own_server.url, name="test", prepare=scripts.prepare) for _ in range(crowd)]
            await asyncio.gather(*(stack.enter_async_context(link) for link in links))
            assert all(await asyncio.gather(*(link.wait_connected(20) for link in links)))
            ids += [(await Press(links[0], scripts, keys).event()).position for _ in range(3)]
        own_server.kill()
        own_server.start()
    assert len(set(ids)) == len(ids)
    epochs = [int(id.split("-")[0]) for id in ids]
    assert epochs == sorted(epochs), "what was issued later is newer"


async def test_many_who_find_out_at_once_all_get_their_answers(
    own_link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    press = Press(own_link, scripts, keys)
    await own_link.send("SCRIPT", "FLUSH")
    results = await asyncio.gather(*(press.event() for _ in range(20)))
    assert sorted(int(result.position.split("-")[1]) for result in results) == list(range(1, 21))


async def test_an_error_of_a_script_is_not_tried_again(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    await link.send("SET", keys.held("1", "node"), "not a hash")
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        await scripts.run(
            link, CLEAR_NODE, (keys.users("1"), keys.held("1", "node"), keys.tomb("1", "node")), ("node", 1, 1)
        )


async def test_an_epoch_is_never_below_the_last(own_link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    await own_link.send("HSET", keys.seq("3"), "#epoch", "99999999999999")
    await start_anew(own_link, keys)
    await Press(own_link, scripts, keys).event()
    assert await own_link.send("HGET", keys.seq("3"), "#epoch") == b"100000000000000"


async def test_a_call_names_all_its_keys(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    """A Redis Cluster finds a script's node by its keys: what is not named cannot be touched."""
    press = Press(link, scripts, keys)
    state = "1 a 60000"
    await press(Item(audience="7", operation="op", video="1", state=state), Item(audience="7", video="2", state=state))
    every = {key.decode() for key in await link.send("KEYS", f"{keys.prefix}:*")}
    tags = {re.search(r"\{(.+)\}", key)[1] for key in every if "seq" not in key}  # type: ignore[index]
    assert len(tags) == 1


def test_every_script_file_is_loaded_by_its_name() -> None:
    names = {path.name.removesuffix(".lua") for path in files("shared").joinpath("lua").iterdir()}
    loaded = {value.name for value in vars(module).values() if isinstance(value, Script)}
    assert names == loaded
    assert PUBLISH.name == "publish"
