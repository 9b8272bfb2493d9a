"""The Celery tasks, run in this process: what is told when all goes well, and once when it does not.

A real worker on a real broker is part of the integration tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from videosite_realtime import NotificationService
from videosite_realtime.examples import celery_tasks
from videosite_realtime.examples.ffmpeg import FFmpeg, FFmpegFailed

from tests.sdk.router_stub import KEY_REUSED, ONE_ATTEMPT, Reply, Router

NO_REDIS = Reply(503, {"detail": "no Redis"}, {"Retry-After": "60"})


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("videos") / "short.mp4"
    FFmpeg.find().make_test_video(file, seconds=0.2)
    return file


@pytest.fixture
def job(cold_router: Router, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a job as its worker would, under an id that stays the same however often it runs."""
    monkeypatch.setattr(celery_tasks, "notification_service", NotificationService())
    monkeypatch.setattr(celery_tasks, "progress_service", NotificationService(retry=ONE_ATTEMPT))
    monkeypatch.setitem(celery_tasks.app.conf, "task_always_eager", True)

    def run(source: Path = video, target: Path = tmp_path / "out") -> Any:
        arguments = (123, "示例视频", str(source), str(target), 7)
        return celery_tasks.transcode_video.apply(arguments, task_id="job-1", throw=False)

    return run


def told(router: Router, *kinds: str) -> list[tuple[str, str]]:
    return [(asked.body["type"], asked.key) for asked in router.asked if asked.body["type"] in kinds]


def test_a_job_tells_progress_and_each_format_under_a_key_of_the_job(router: Router, job: Any, tmp_path: Path) -> None:
    assert job().successful()
    assert told(router, "transcode_complete", "transcode_failed") == [
        ("transcode_complete", "job-1:complete:h264"),
        ("transcode_complete", "job-1:complete:vp9"),
        ("transcode_complete", "job-1:complete:av1"),
    ]
    assert router.asked[0].body["message"] == "开始转码 (0/3)"
    sizes = {asked.body["file_size"] for asked in router.asked if "file_size" in asked.body}
    assert sizes == {file.stat().st_size for file in (tmp_path / "out").glob("short-*")}


def test_a_job_that_runs_again_after_its_last_word_says_nothing(router: Router, job: Any) -> None:
    assert job().successful()
    before = len(router.asked)
    assert job().successful()
    assert len(router.asked) == before


def test_a_job_that_runs_again_takes_what_was_told_for_told(router: Router, job: Any, tmp_path: Path) -> None:
    job()
    (tmp_path / "out" / ".job-1.told").unlink()  # as if it had been killed before it could note it
    first = told(router, "transcode_complete")
    router.asked.clear()
    assert job().successful()
    assert told(router, "transcode_complete") == first, "these were refused as told, which is as good as told"


def test_a_broken_video_fails_the_job_and_is_told_once(router: Router, job: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    for _ in range(2):
        result = job(broken)
    assert result.successful(), "the second run had nothing left to say"
    assert told(router, "transcode_complete", "transcode_failed") == [("transcode_failed", "job-1:failed")]


def test_a_broken_video_is_a_failed_task(router: Router, job: Any, tmp_path: Path) -> None:
    result = job(tmp_path / "not there.mp4")
    assert isinstance(result.result, FFmpegFailed)


def test_a_machine_in_trouble_is_tried_again_before_the_browsers_hear_of_it(
    router: Router, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def full(*_: object) -> Any:
        runs.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(celery_tasks, "transcode", full)
    assert isinstance(job().result, OSError)
    assert len(runs) == 4
    assert told(router, "transcode_failed") == [("transcode_failed", "job-1:failed")]


def test_progress_is_left_out_and_results_are_resent_when_the_router_is_away(
    router: Router, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resent: list[dict[str, str]] = []
    monkeypatch.setattr(celery_tasks.resend, "delay", lambda **request: resent.append(request))
    router.trouble = NO_REDIS
    assert job().successful()
    router.trouble = None
    assert [request["idempotency_key"] for request in resent] == [
        "job-1:complete:h264",
        "job-1:complete:vp9",
        "job-1:complete:av1",
    ]
    given_up = {asked.key: asked.text for asked in router.asked}
    router.asked.clear()
    router.answers(NO_REDIS)
    assert celery_tasks.resend.apply(kwargs=resent[0], throw=False).successful()
    assert [asked.text for asked in router.asked] == [given_up["job-1:complete:h264"]] * 2


def test_a_result_that_another_run_has_told_meanwhile_is_not_resent_for_ever(router: Router, job: Any) -> None:
    router.answers(KEY_REUSED)
    request = {"path": "/api/v1/notifications", "body": "{}", "idempotency_key": "job-1:failed"}
    assert celery_tasks.resend.apply(kwargs=request, throw=False).successful()
    assert len(router.asked) == 1
