"""The load test itself: that it finds nothing where nothing is wrong, and everything where something is."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import NewCluster
from tests.load.frame_proxy import FrameProxy
from tests.load.locust_run import LOCAL, LOCUST, Run, run
from tests.support.redis_proxy import Fate
from tests.support.waiting import until

_ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


async def test_nothing_is_missed_over_two_processes_and_a_rolling_restart(tmp_path: Path):
    options = ("-u", "120", "-r", "60", "-t", "15s", "--shape", "restart", "--processes", "2", "--seed", "7")
    ended = await run((*LOCAL, "--nodes", "2", "--", *options), tmp_path, env=_ENV)

    assert ended.status == 0, ended.output
    clients = 120 - 2  # but for the transcoders
    assert ended.samples["CHECK", "has everything"] == clients
    assert [key for key in ended.failures if not key[0].endswith("attempt")] == []
    assert f"{clients} clients at the end, {clients} of them with everything" in ended.output
    assert "2 of 2 nodes have been replaced" in ended.output
    assert ended.samples["WS", "connect user"] == clients - 2
    assert ended.samples["WS", "resume user"] > 0
    latencies = {name for kind, name in ended.samples if kind == "deliver"}
    assert latencies >= {
        "order_status_changed → users",
        "batched → users",
        "transcode_progress → admins",
        "transcode_progress → users",
        "transcode_complete → admins",
        "system_message → all",
    }
    assert {kind for kind, _ in ended.samples} >= {"WS", "SDK", "HTTP", "deliver", "catch up", "CHECK"}
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "order_status_changed" in report
    assert (tmp_path / "load_stats_history.csv").stat().st_size > 0


async def test_what_a_node_must_never_do_is_found_to_the_message(new_cluster: NewCluster, tmp_path: Path):
    cluster = await new_cluster()
    broadcasts: dict[int, int] = {}

    def judge(connection: int, event: bytes) -> Fate:
        if b'"id":"all.' not in event:
            return Fate.PASS
        turn = broadcasts[connection] = broadcasts.get(connection, 0) + 1
        if connection in (3, 4) and turn == 3:
            return Fate.LOSE
        if connection == 5 and turn in (2, 4):
            return Fate.DOUBLE
        if connection == 6 and turn == 2:
            return Fate.SWAP
        # Nothing comes after the last of these: only the sum of what all processes were answered can tell.
        return Fate.LOSE if connection in (7, 8, 9, 10) and turn > 3 else Fate.PASS

    env = {
        "ROUTER_URL": cluster.router.url,
        "ROUTER_API_KEY": cluster.api_key,
        "JWT_SECRET": cluster.tokens.secret,
    }
    options = ("-u", "23", "-r", "100", "-t", "7s", "--processes", "2", "--transcoders", "1", "--patience", "2")
    async with FrameProxy(cluster.node.port, judge).running() as proxy:
        command = (*LOCUST, *options, "--broadcast-rate", "5", "--ws-url", proxy.url)
        ended = await run(command, tmp_path, env=_ENV | env)

    assert ended.status == 1, ended.output
    assert ended.failures == {
        ("CHECK", "lost (all)", "lost"): proxy.met[Fate.LOSE],
        ("CHECK", "doubled (all)", "doubled"): 2,
        ("CHECK", "swapped (all)", "swapped"): 1,
    }, ended.output
    assert proxy.met[Fate.LOSE] > 2 + 4
    assert ended.samples["CHECK", "has everything"] == 22 - 2 - 4


async def test_a_process_that_ends_in_the_middle_is_no_success(new_cluster: NewCluster, tmp_path: Path):
    """Others play its users on; but what its clients lacked by then, nobody knows any more."""
    cluster = await new_cluster()

    async def all_are_there() -> bool:
        return (await cluster.node.get("/api/v1/ws/stats")).json()["total_connections"] == 20

    async def kill_one(pid: int) -> None:
        await until(all_are_there)
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(workers[0]), signal.SIGKILL)

    env = {"NODE_URL": cluster.node.url, "ROUTER_URL": cluster.router.url, "JWT_SECRET": cluster.tokens.secret}
    options = ("-u", "22", "-r", "100", "-t", "9s", "--processes", "2")
    ended = await run((*LOCUST, *options), tmp_path, env=_ENV | env, meanwhile=kill_one)
    assert ended.status != 0
    why = "processes that ended before the test did"
    assert ended.failures["CHECK", why, why] == 1, ended.output


async def test_storm_and_peak_beside_each_other_on_one_cluster(new_cluster: NewCluster, tmp_path: Path):
    """Two runs at once: each hears the other's broadcasts, and takes them for what they are."""
    cluster = await new_cluster(nodes=2)
    env = {
        "NODE_URL": ",".join(node.url for node in cluster.nodes),
        "ROUTER_URL": cluster.router.url,
        "JWT_SECRET": cluster.tokens.secret,
    }

    async def shaped(shape: str, seed: str, *more: str) -> Run:
        directory = tmp_path / shape
        directory.mkdir()
        who = ("-u", "42", "-r", "42", "-t", "9s", "--shape", shape, "--seed", seed, "--user-prefix", f"{shape}-")
        return await run((*LOCUST, *who, *more), directory, env=_ENV | env)

    storm, peak = await asyncio.gather(
        shaped("storm", "1"), shaped("peak", "2", "--broadcast-rate", "1", "--peak-factor", "20")
    )
    for ended in (storm, peak):
        assert ended.status == 0, ended.output
        assert ended.samples["CHECK", "has everything"] == 40
    assert storm.samples["WS", "resume user"] == 38
    assert storm.samples["WS", "resume admin"] == 2
    broadcasts = sum(peak.samples.get(("SDK", call), 0) for call in ("broadcast", "notify_system_message"))
    assert broadcasts > 30  # 9 without the peak


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shape", "peak"), "--shape peak needs a run time: -t 5m"),
        (("-u", "3", "--admins", "4"), "-u 3: 4 admins and 2 transcoders are more"),
        (("--ws-url", "nowhere"), "--ws-url (or NODE_URL) is not a URL like http://host:port: 'nowhere'"),
        (("--token-file", "/nowhere"), "--token-file /nowhere is no file"),
        (("--shape", "storm", "-u", "1000", "-r", "1", "-t", "60s"), "to start the users takes 200 s at this rate"),
    ],
)
async def test_options_that_make_no_test_are_told_in_one_line(tmp_path: Path, options: tuple[str, ...], said: str):
    good = (
        "-u",
        "20",
        "--ws-url",
        "http://127.0.0.1:1",
        "--router-url",
        "http://127.0.0.1:1",
        "--jwt-secret",
        "x" * 32,
    )
    ended = await run((*LOCUST, *good, *options), tmp_path, env=_ENV)
    assert ended.status == 1
    (line,) = [line for line in ended.output.splitlines() if line.startswith("locustfile: ")]
    assert said in line
    assert "Traceback" not in ended.output
