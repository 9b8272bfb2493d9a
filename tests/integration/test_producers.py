"""The producers' SDK against the real cluster: from a script, from a real transcode, from a real Celery worker."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from celery import Celery
from videosite_realtime import NotificationService, RetryPolicy
from videosite_realtime.examples.ffmpeg import FFmpeg

from tests.conftest import NewCluster
from tests.support.cluster import Cluster
from tests.support.process import Process
from tests.support.waiting import until

# As the documentation has it, three times.
CALL = """asyncio.run(notification_service.notify_transcode_progress(
    video_id=123, status="processing", progress={progress}, message="已完成720p转码"))
"""
SNIPPET = f"""
import asyncio
from videosite_realtime import notification_service
{CALL.format(progress=45)}
{CALL.format(progress=46)}
{CALL.format(progress=47)}
print(asyncio.run(notification_service.get_connection_count())["total_admin_connections"])
"""


def producer_env(cluster: Cluster) -> dict[str, str]:
    return {"ROUTER_URL": cluster.router.url, "ROUTER_API_KEY": cluster.api_key, "PYTHONWARNINGS": "error"}


def service_of(cluster: Cluster) -> NotificationService:
    return NotificationService(cluster.router.url, cluster.api_key, retry=RetryPolicy(deadline=60))


async def test_the_snippet_of_the_documentation_works_three_times_in_one_process(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    async with cluster.admin() as admin:

        async def counted() -> bool:
            return (await cluster.router.read("stats"))["total_admin_connections"] == 1

        await until(counted)  # within a second; the script may be quicker
        script = Process("snippet", [sys.executable, "-c", SNIPPET], producer_env(cluster), tmp_path / "snippet.log")
        script.launch()
        assert await script.exit_status(60) == 0, script.log()
        seen = await admin.receive_many("transcode_progress", 3)
        assert [message["progress"] for message in seen] == [45, 46, 47]
        assert {message["message"] for message in seen} == {"已完成720p转码"}
        assert script.log().strip() == "1"


async def test_every_call_of_the_service_reaches_its_audience(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    async with service_of(cluster) as service, cluster.admin() as admin, cluster.user(owner) as user:
        receipt = await service.notify_transcode_complete(video, "示例视频", "av1", 1024, user_id=owner)
        failed = await service.notify_transcode_failed(video, "示例视频", "exit 1", user_id=owner)
        await service.notify_system_message("维护", "warning", {"users": [owner]})
        personal = await service.send_personal_message({"type": "hello"}, owner)
        await service.send_admin_message({"type": "for_admins"})
        await service.broadcast({"type": "for_all", "video": video})
        assert (await user.receive("transcode_complete"))["id"] == receipt.ids[f"user:{owner}"]
        assert (await user.receive("transcode_failed"))["id"] == failed.ids[f"user:{owner}"]
        assert (await user.receive("system_message"))["level"] == "warning"
        assert (await user.receive("hello"))["id"] == personal.id
        assert (await user.receive("for_all"))["video"] == video
        assert (await admin.receive("transcode_complete"))["id"] == receipt.id
        assert (await admin.receive("transcode_failed"))["id"] == failed.id
        await admin.receive("for_admins")
        await admin.receive("for_all")
        await user.nothing_else()
        assert receipt.online
        assert personal.nodes == 1


async def test_a_router_that_restarts_neither_loses_nor_doubles_a_message(new_cluster: NewCluster) -> None:
    cluster = await new_cluster()
    count, restarted = 150, asyncio.Event()

    async def publish(service: NotificationService) -> None:
        for number in range(count):
            await service.send_personal_message({"type": "step", "number": number}, 7)
            if number == 40:
                restarted.set()

    async def restart() -> None:
        await restarted.wait()
        await cluster.router.kill()
        await cluster.router.start()

    async with service_of(cluster) as service, cluster.user(7) as user:
        await asyncio.gather(publish(service), restart())
        seen = await user.receive_many("step", count)
        assert [message["number"] for message in seen] == list(range(count))
        await user.nothing_else()


async def test_a_real_transcode_in_a_real_celery_worker_is_told_to_admins_and_its_owner(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    source, target = tmp_path / "source.mp4", tmp_path / "videos"
    broken = tmp_path / "broken.mp4"
    FFmpeg.find().make_test_video(source, seconds=1)
    broken.write_bytes(source.read_bytes()[:2000])
    broker = cluster.redis.url.rsplit("/", 1)[0] + "/1"
    env = {**producer_env(cluster), "CELERY_BROKER_URL": broker, "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-m", "celery", "-A", "videosite_realtime.examples.celery_tasks", "worker"]
    worker = Process("worker", [*command, "-c", "2", "--without-gossip"], env, tmp_path / "worker.log")
    worker.launch()
    try:
        async with cluster.admin() as admin, cluster.user(7) as owner:
            await asyncio.to_thread(_order, broker, 1, "好的", source, target)
            await asyncio.to_thread(_order, broker, 2, "坏的", broken, target)
            failed = await admin.receive("transcode_failed", timeout=90)
            assert failed["video_id"] == 2
            completes = await _completes(admin, videos=1)
            sizes = sorted(file.stat().st_size for file in target.iterdir() if not file.name.startswith("."))
            assert sorted(message["file_size"] for message in completes) == sizes
            assert len(await _completes(owner, videos=1)) == len(completes)
            progress = [message for message in admin.unread if message["type"] == "transcode_progress"]
            mine = [message["progress"] for message in progress if message["video_id"] == 1]
            assert mine == sorted(mine)
            assert mine[-1] == 100
    finally:
        await worker.terminate(60)  # Celery takes its time, more of it where others work too


async def _completes(client, *, videos: int) -> list[dict[str, object]]:
    """Take what is complete until the job's formats are all there: as many as FFmpeg here can make."""
    from videosite_realtime.examples.transcode import renditions_of

    count = videos * len(renditions_of(FFmpeg.find()))
    return await client.receive_many("transcode_complete", count, timeout=90)


def _order(broker: str, video_id: int, title: str, source: Path, target: Path) -> None:
    with Celery(broker=broker) as app:
        app.send_task(
            "videosite_realtime.examples.celery_tasks.transcode_video",
            (video_id, title, str(source), str(target), 7),
        )


async def test_the_demo_transcoder_tells_a_true_size_and_a_true_failure(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = await new_cluster()
    command = [sys.executable, "-m", "videosite_realtime.examples.transcoder", "--seconds", "1", "--user", "7"]
    transcoder = Process("transcoder", command, producer_env(cluster), tmp_path / "transcoder.log")
    async with cluster.admin() as admin:
        transcoder.launch()
        await until(lambda: not transcoder.running, timeout=90)
        complete = await admin.receive("transcode_complete")
        failed = await admin.receive("transcode_failed")
        assert complete["file_size"] > 1000
        assert failed["error"]
        assert failed["video_id"] != complete["video_id"]
