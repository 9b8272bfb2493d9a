"""Parts and their crew, with small stand-in programs."""

import asyncio
import os
import signal
import sys
import time

import pytest
from videosite_realtime_cli.cluster.crew import Crew, StopAsked, StopRequest
from videosite_realtime_cli.cluster.follow import Follower
from videosite_realtime_cli.cluster.part import Part, Process
from videosite_realtime_cli.errors import PartDied, PartNotReady

from tests.support.process import lives

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
GENTLE = """
import signal, sys, time
def leave(*_):
    print('bye', flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print('here', flush=True)
time.sleep(60)
"""


@pytest.fixture
def stop():
    return StopRequest()


@pytest.fixture
def crew(tmp_path, stop):
    return Crew(tmp_path, stop)


@pytest.fixture
def part(tmp_path):
    def make(program, name="part", says="", **more):
        async def ready():
            log = tmp_path / f"{name}.log"
            return None if says in log.read_text() else "silence"

        return Part(name, (sys.executable, "-c", program), dict(os.environ), ready, **more)

    return make


async def test_a_part_has_its_time_to_leave(crew, part, tmp_path):
    async with crew.running([part(GENTLE, says="here", grace=60)]):
        await crew.all_ready()
    assert (tmp_path / "part.log").read_text() == "here\nbye\n"


async def test_a_part_that_does_not_leave_is_killed_after_its_grace(crew, part):
    async with crew.running([part(STUBBORN, says="deaf", grace=0.2)]) as [process]:
        await crew.all_ready()
        begun = time.monotonic()
    assert time.monotonic() - begun < 30
    assert await process.ended() == -signal.SIGKILL


async def test_in_a_hurry_there_is_no_grace(crew, part, stop):
    async with crew.running([part(STUBBORN, says="deaf", grace=60)]):
        await crew.all_ready()
        stop.ask()
        stop.ask()
        begun = time.monotonic()
    assert time.monotonic() - begun < 30


async def test_what_a_part_has_started_goes_with_it(crew, part, tmp_path):
    parent = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); child.wait()"
    )
    async with crew.running([part(parent, says="\n")]):
        await crew.all_ready()
        grandchild = int((tmp_path / "part.log").read_text())
    async with asyncio.timeout(30):
        while lives(grandchild):
            await asyncio.sleep(0.02)


async def test_a_part_that_dies_is_named_with_its_status_and_last_line(crew, part):
    dying = part("import sys; print('first'); print('no REDIS_URL'); print(); sys.exit(3)", name="node-2")
    async with crew.running([part(GENTLE, name="node-1"), dying]):
        with pytest.raises(PartDied) as died:
            await crew.until_stopped()
    assert str(died.value) == "node-2 ended with exit status 3; its last log line: no REDIS_URL"


async def test_a_part_that_was_killed_is_named_with_the_signal(crew, part):
    async with crew.running([part("import os; os.kill(os.getpid(), 9)", name="router-1")]):
        with pytest.raises(PartDied, match="router-1 was ended by SIGKILL; it logged nothing"):
            await crew.until_stopped()


async def test_a_part_that_dies_before_it_is_ready_is_not_waited_for(crew, part):
    async with crew.running([part("raise SystemExit('no such setting')", says="never")]):
        with pytest.raises(PartDied, match="exit status 1; its last log line: no such setting"):
            await crew.all_ready()


async def test_a_part_that_never_gets_ready_is_named_with_what_it_answered(part, tmp_path):
    process = Process(part(GENTLE, says="never"), tmp_path)
    await process.start()
    try:
        with pytest.raises(PartNotReady, match=r"part is not ready after 0\.5 s: silence"):
            await process.ready(within=0.5)
    finally:
        await process.stop(asyncio.Event())


async def test_a_stop_comes_before_everything_else(crew, part, stop):
    async with crew.running([part(GENTLE, says="never")]):
        asyncio.get_running_loop().call_later(0.05, stop.ask)
        with pytest.raises(StopAsked):
            await crew.all_ready()


async def test_a_companion_that_fails_is_noticed(crew):
    async def fail():
        raise OSError("the view is gone")

    async with crew.companion(fail()):
        with pytest.raises(OSError, match="the view is gone"):
            await crew.until_stopped()


async def test_stopping_twice_or_before_the_start_does_no_harm(part, tmp_path):
    process = Process(part(GENTLE), tmp_path)
    await process.stop(asyncio.Event())
    await process.start()
    await process.stop(asyncio.Event())
    await process.stop(asyncio.Event())


async def test_a_part_is_out_of_reach_of_the_terminals_ctrl_c(crew, part, tmp_path):
    says_session = "import os, time; print(os.getsid(0) == os.getpid(), flush=True); time.sleep(60)"
    async with crew.running([part(says_session, says="True")]):
        await crew.all_ready()


def test_logs_are_followed_by_whole_lines(tmp_path):
    log = tmp_path / "node-1.log"
    follower = Follower(tmp_path, lambda: ["node-1", "not-yet"])
    assert follower.news() == []
    log.write_text("one\ntw")
    assert follower.news() == [("node-1", "one")]
    log.write_text("one\ntwo\n")
    assert follower.news() == [("node-1", "two")]
    assert follower.news() == []
