"""How long Redis takes: by command and script, and by what went wrong."""

from __future__ import annotations

import pytest

from shared.command_times import LOST, CommandTimes, name_of
from shared.errors import RedisRefused
from shared.redis_link import RedisLink
from shared.scripts import NAMES, PUBLISH
from tests.shared.redis_server import RedisServer


def test_a_script_is_counted_under_its_name() -> None:
    times = CommandTimes(NAMES)
    times.answered(name_of((b"EVALSHA", PUBLISH.sha, 3)), 0.002)
    times.answered(name_of(("GET", "key")), 0.001)
    times.answered(name_of((b"GET", "key")), 0.001)
    assert {key: buckets.count for key, buckets in times.series.items()} == {
        ("EVALSHA", "publish", ""): 1,
        ("GET", "", ""): 2,
    }


def test_whatever_redis_calls_its_errors_the_labels_are_few() -> None:
    times = CommandTimes({})
    for error in ("OOM command not allowed", "MYERR 1", "MYERR2 of a script", LOST):
        times.failed(b"SET", 0.1, error)
    assert sorted(error for _, _, error in times.series) == ["ERR", "OOM", LOST]


async def test_a_link_notes_what_its_commands_took(redis_server: RedisServer) -> None:
    times = CommandTimes({})
    async with RedisLink(redis_server.url, name="test", times=times) as link:
        await link.wait_connected(20)
        await link.send("SET", "command-times", "text")
        with pytest.raises(RedisRefused):
            await link.send("INCR", "command-times")
        slow = link.send("BLPOP", "command-times-nothing", 0)
        link.drop()
        assert slow.exception() is not None
    found = {key: buckets.count for key, buckets in times.series.items() if key[0] != "TIME"}
    assert found == {("SET", "", ""): 1, ("INCR", "", "ERR"): 1, ("BLPOP", "", LOST): 1}
    assert 0 < times.series["SET", "", ""].sum < 5
