"""The ready task in a real Celery worker, on a real broker, against the real cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from celery import Celery

from tests.conftest import NewCluster
from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK
from tests.support.process import Process
from tests.support.tcp_proxy import TcpProxy, Weather
from tests.support.waiting import until

APP = """
import os
from celery import Celery

app = Celery("videosite", broker=os.environ["BROKER"], include=["videosite_realtime.celery"])
# What a killed worker had in its hands comes back after this time; it is an hour unless somebody says otherwise.
seconds = int(os.environ.get("VISIBILITY_TIMEOUT", 3600))
app.conf.broker_transport_options = {
    "visibility_timeout": seconds, "unacked_restore_interval": 1, "unacked_restore_throttle": 1
}
"""
ORDER = ("order_paid", {"audience": {"users": [7]}, "message": {"order": 1}})


@asynccontextmanager
async def working(cluster: Cluster, directory: Path, name: str = "worker", **env: str) -> AsyncIterator[Process]:
    """Run a worker that does nothing but include the task."""
    (directory / "its_app.py").write_text(APP)
    settings = {
        "BROKER": broker(cluster),
        "PYTHONPATH": str(directory),
        "ROUTER_URL": cluster.router.url,
        "ROUTER_API_KEY": cluster.api_key,
        "QUEUE_URL": cluster.redis.url,
        "QUEUE_PREFIX": cluster.prefix,
        **env,
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "its_app",
        "worker",
        "-c",
        "1",
        "-n",
        name,
        "-l",
        "info",
        "--without-gossip",
    ]
    worker = Process(name, command, settings, directory / f"{name}.log")
    worker.launch()
    try:
        await until(lambda: " ready." in worker.log(), timeout=60)
        yield worker
    finally:
        await worker.end(timeout=60)  # Celery takes its time, more of it where others work too


def broker(cluster: Cluster) -> str:
    return cluster.redis.url.rsplit("/", 1)[0] + "/2"


@pytest.fixture
async def empty_broker(redis_server: Any) -> None:
    async with redis.Redis.from_url(redis_server.url.rsplit("/", 1)[0] + "/2") as client:
        await client.flushdb()


async def order(cluster: Cluster, *calls: tuple[str, Any]) -> None:
    """Do what the platform's web application does."""

    def send() -> None:
        with Celery(broker=broker(cluster), set_as_current=True):
            from videosite_realtime.celery import send_notification

            for message_type, data in calls:
                send_notification.delay(message_type, data)

    await asyncio.to_thread(send)


pytestmark = pytest.mark.usefixtures("empty_broker")


@pytest.mark.parametrize("way", ["http", "queue"])
async def test_typed_and_custom_messages_reach_their_audience_and_bad_ones_fail(
    new_cluster: NewCluster, tmp_path: Path, way: str
) -> None:
    cluster = await new_cluster()
    async with working(cluster, tmp_path, NOTIFICATIONS_BY=way) as worker, cluster.user(7) as user:
        await order(
            cluster,
            (
                "transcode_complete",
                {"video_id": 1, "title": "好的", "format_type": "x", "file_size": 1, "user_id": 7},
            ),
            ("order_paid", {"no": "audience"}),
            ("order_paid", {"audience": {"users": [7]}, "message": {"order": 10482}}),
        )
        assert (await user.receive("transcode_complete", timeout=60))["title"] == "好的"
        assert (await user.receive("order_paid", timeout=60))["order"] == 10482
        await user.nothing_else()
        await until(lambda: "InvalidMessage" in worker.log(), timeout=60)
        assert "Retry" not in worker.log()


async def test_a_router_that_is_away_costs_a_retry_and_no_message(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = await new_cluster()
    async with working(cluster, tmp_path) as worker, cluster.user(7) as user:
        await cluster.router.kill()
        await order(cluster, ORDER)
        await until(lambda: "Retry in" in worker.log(), timeout=60)
        await cluster.router.start()
        assert (await user.receive("order_paid", timeout=60))["order"] == 1
        await user.nothing_else()


async def test_a_worker_that_stops_before_the_message_is_sent_leaves_it_to_the_next(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    async with cluster.user(7) as user:
        cluster.router.pause()
        async with working(cluster, tmp_path, "first") as first:
            await order(cluster, ORDER)
            await until(lambda: "received" in first.log(), timeout=60)
            await first.terminate(60)
        cluster.router.resume()
        async with working(cluster, tmp_path, "second"):
            assert (await user.receive("order_paid", timeout=60))["order"] == 1
            await user.nothing_else()


# --- workers that are killed


def children(process: Process) -> list[int]:
    """Return the processes that a process has started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def kill_all(process: Process) -> None:
    """End a worker and its children at once, as a power cut would."""
    theirs = children(process)
    process.signal(signal.SIGKILL)
    for pid in theirs:
        os.kill(pid, signal.SIGKILL)


async def test_a_worker_that_is_killed_before_it_could_send_leaves_the_message_to_the_next(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    await cluster.router.kill()
    async with working(cluster, tmp_path, "first", VISIBILITY_TIMEOUT="3") as first:
        await order(cluster, ORDER)
        await until(lambda: "received" in first.log(), timeout=60)
        kill_all(first)
        await first.exit_status()
        assert "Retry in" not in first.log(), "it was killed too late: it had handed the message back itself"
    await cluster.router.start()
    async with cluster.user(7) as user, working(cluster, tmp_path, "second", VISIBILITY_TIMEOUT="3"):
        assert (await user.receive("order_paid", timeout=60))["order"] == 1
        await cluster.nobody_hears(user)


async def test_a_worker_that_is_killed_after_it_has_sent_doubles_nothing(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    """It has not been told yet that the message was published, and so nobody else has."""
    cluster = await new_cluster()
    async with cluster.user(7) as user, TcpProxy(cluster.router.port) as way:
        settings = {"ROUTER_URL": f"http://{LOOPBACK}:{way.port}", "VISIBILITY_TIMEOUT": "3"}
        async with working(cluster, tmp_path, "first", **settings) as first:
            way.become(Weather.MUTE)
            await order(cluster, ORDER)
            await user.receive("order_paid", timeout=60)
            kill_all(first)
            await first.exit_status()
        assert "succeeded in" not in first.log()
        way.become(Weather.CLEAR)
        async with working(cluster, tmp_path, "second", **settings) as second:
            await until(lambda: "succeeded in" in second.log(), timeout=60)
            await cluster.nobody_hears(user)


async def test_a_workers_child_that_is_killed_is_followed_by_another_at_once(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    async with (
        cluster.user(7) as user,
        TcpProxy(cluster.router.port) as way,
        working(cluster, tmp_path, ROUTER_URL=f"http://{LOOPBACK}:{way.port}") as worker,
    ):
        way.become(Weather.MUTE)
        await order(cluster, ORDER)
        await user.receive("order_paid", timeout=60)
        for pid in children(worker):
            os.kill(pid, signal.SIGKILL)
        way.become(Weather.CLEAR)
        await until(lambda: "succeeded in" in worker.log(), timeout=60)
        await cluster.nobody_hears(user)
