"""The example transcoder at work: real videos, a real FFmpeg, and what the router was told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from videosite_realtime.examples import transcoder
from videosite_realtime.examples.ffmpeg import FFmpeg, FFmpegFailed, FFmpegMissing
from videosite_realtime.examples.transcode import RENDITIONS, Converted, renditions_of, transcode

from tests.sdk.router_stub import Asked, Router


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of one second."""
    file = tmp_path_factory.mktemp("videos") / "一秒.mp4"
    FFmpeg.find().make_test_video(file, seconds=1)
    return file


@pytest.fixture(autouse=True)
def _signals_as_before() -> object:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def of_type(router: Router, kind: str) -> list[Asked]:
    return [asked for asked in router.asked if asked.body["type"] == kind]


def test_its_own_videos_succeed_and_fail_in_front_of_the_browsers(
    router: Router, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcoder.main(["--seconds", "1", "--user", "7", "--video-id", "40"]) == 0

    progress = [asked.body for asked in of_type(router, "transcode_progress") if asked.body["video_id"] == 40]
    count = len(renditions_of(FFmpeg.find()))
    assert progress[0] | {"sent_at": 0} == {
        "type": "transcode_progress",
        "video_id": 40,
        "status": "processing",
        "progress": 0,
        "message": f"开始转码 (0/{count})",
        "user_id": 7,
        "sent_at": 0,
    }
    assert (progress[-1]["progress"], progress[-1]["message"]) == (100, f"已完成360p转码 ({count}/{count})")
    assert f"已完成720p转码 (1/{count})" in [each["message"] for each in progress]
    assert all(a["progress"] <= b["progress"] and a["sent_at"] < b["sent_at"] for a, b in pairwise(progress))

    complete = [asked.body for asked in of_type(router, "transcode_complete")]
    assert [each["format_type"] for each in complete] == [rendition.format_type for rendition in RENDITIONS]
    assert {each["video_id"] for each in complete} == {40}
    assert {each["title"] for each in complete} == {"示例视频"}

    (failed,) = (asked.body for asked in of_type(router, "transcode_failed"))
    assert failed["video_id"] == 41
    assert failed["error"].startswith("FFmpeg process exited with code ")
    assert failed["error"].endswith("Invalid data found when processing input")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(router.asked)
    sizes = [f"{each['file_size']:,} bytes" for each in complete]
    assert all(any(size in line for line in lines) for size in sizes)


def test_sizes_are_those_of_the_files(video: Path, tmp_path: Path) -> None:
    ffmpeg = FFmpeg.find()
    steps = transcode(ffmpeg, video, tmp_path, renditions_of(ffmpeg))
    results = [step for step in steps if isinstance(step, Converted)]
    assert [result.size for result in results] == [result.file.stat().st_size for result in results]
    assert {result.file for result in results} == set(tmp_path.iterdir())
    durations = [ffmpeg.duration_us(result.file) or 0 for result in results]
    assert all(900_000 < duration < 1_200_000 for duration in durations)


def test_a_video_that_is_given_and_broken_is_an_exit_status(router: Router, video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "断.mp4"
    broken.write_bytes(video.read_bytes()[:500])
    assert transcoder.main([str(broken)]) == 1
    (failed,) = of_type(router, "transcode_failed")
    assert failed.body["title"] == "断"
    assert "user_id" not in failed.body


def test_a_broken_video_leaves_no_file(video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(FFmpegFailed):
        list(transcode(FFmpeg.find(), broken, target, RENDITIONS[:1]))
    assert list(target.iterdir()) == []


def test_each_result_is_told_once_though_the_router_stumbles(router: Router, video: Path) -> None:
    router.stumbles_on = "transcode_complete"
    assert transcoder.main([str(video)]) == 0
    attempts = of_type(router, "transcode_complete")
    told = {asked.key: asked.body["format_type"] for asked in attempts}
    assert len(attempts) == 2 * len(told)
    assert list(told.values()) == [rendition.format_type for rendition in RENDITIONS]


def test_a_missing_setting_is_one_line(
    router: Router, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROUTER_API_KEY")
    assert transcoder.main([str(video)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("transcoder: ROUTER_API_KEY is not set")


def test_without_ffmpeg_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FFmpegMissing, match="FFMPEG"):
        FFmpeg.find({"PATH": "/nowhere"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_ffmpeg_and_leaves_no_files(router: Router, tmp_path: Path, number: signal.Signals) -> None:
    pids, temporary = tmp_path / "pids", tmp_path / "tmp"
    temporary.mkdir()
    video = tmp_path / "long.mp4"
    FFmpeg.find().make_test_video(video, seconds=20)
    noting = tmp_path / "ffmpeg"
    noting.write_text(f'#!/bin/sh\necho $$ >> "{pids}"\nexec "{FFmpeg.find()._path}" "$@"\n')
    noting.chmod(0o755)
    environment = os.environ | {"FFMPEG": str(noting), "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "videosite_realtime.examples.transcoder", "--forever", str(video)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            router.wait_until_asked(lambda asked: "正在转码" in asked.body.get("message", ""))
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (128 + number, b"")
    assert list(temporary.iterdir()) == []
    for pid in map(int, pids.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
