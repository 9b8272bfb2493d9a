"""A transcoder that tells the browsers what it does: ``python -m videosite_realtime.examples.transcoder``.

Without INPUT it makes its own videos: in each round one that works and one that is broken. It needs ``ROUTER_URL``
and ``ROUTER_API_KEY``.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from videosite_realtime import NotificationError, Receipt, RetryPolicy, SyncNotificationService, Undelivered
from videosite_realtime.examples import telemetry
from videosite_realtime.examples.ffmpeg import FFmpeg, FFmpegFailed, FFmpegMissing
from videosite_realtime.examples.transcode import (
    Converted,
    Progressed,
    Rendition,
    renditions_of,
    throttled,
    transcode,
)

# Late progress is worth nothing, the next says more, and meanwhile nobody reads FFmpeg's. A result must arrive.
PROGRESS_RETRY: Final = RetryPolicy(deadline=2)
RESULT_RETRY: Final = RetryPolicy(deadline=120)
BROKEN_SIZE: Final = 1000  # bytes that are left of a video whose upload broke off

UserId = int | str
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Video:
    id: int
    title: str
    file: Path


class Reporter:
    """Tells what happens to one video, on the terminal and to the browsers."""

    def __init__(
        self,
        video: Video,
        user_id: UserId | None,
        *,
        progress: SyncNotificationService,
        results: SyncNotificationService,
        say: Say,
    ) -> None:
        self._video, self._user_id = video, user_id
        self._progress, self._results = progress, results
        self._say = say

    def progressed(self, step: Progressed) -> None:
        try:
            self._progress.notify_transcode_progress(
                self._video.id, "processing", step.percent, step.message, self._user_id
            )
        except Undelivered as exc:
            self._tell(f"{step.percent:3} % {step.message} - left out: {exc.last_cause}")
        else:
            self._tell(f"{step.percent:3} % {step.message}")

    def converted(self, step: Converted) -> None:
        receipt = self._results.notify_transcode_complete(
            self._video.id, self._video.title, step.rendition.format_type, step.size, self._user_id
        )
        self._tell(f"{step.rendition.format_type} is ready, {step.size:,} bytes; {_reach(receipt)}")

    def failed(self, error: FFmpegFailed) -> None:
        receipt = self._results.notify_transcode_failed(self._video.id, self._video.title, str(error), self._user_id)
        self._tell(f"failed: {error}; {_reach(receipt)}")

    def _tell(self, line: str) -> None:
        self._say(f"{time.strftime('%H:%M:%S')}  video {self._video.id} {self._video.title}  {line}")


def _reach(receipt: Receipt) -> str:
    return f"told {receipt.nodes} node(s), {'somebody' if receipt.online else 'nobody'} is watching"


def work_on(video: Video, ffmpeg: FFmpeg, renditions: Sequence[Rendition], reporter: Reporter) -> bool:
    """Transcode a video and report every step; return whether it worked. Its files are for nobody, and go."""
    with tempfile.TemporaryDirectory(prefix="videosite-transcoder-") as target:
        try:
            with closing(throttled(transcode(ffmpeg, video.file, Path(target), renditions))) as steps:
                for step in steps:
                    match step:
                        case Progressed():
                            reporter.progressed(step)
                        case Converted():
                            reporter.converted(step)
        except FFmpegFailed as exc:
            reporter.failed(exc)
            return False
    return True


def made_up(ffmpeg: FFmpeg, directory: Path, seconds: float) -> list[tuple[str, Path]]:
    """Make a video that works, and one that does not; return their titles and files."""
    whole, broken = directory / "whole.mp4", directory / "broken.mp4"
    ffmpeg.make_test_video(whole, seconds=seconds)
    broken.write_bytes(whole.read_bytes()[:BROKEN_SIZE])
    return [("示例视频", whole), ("损坏的视频", broken)]


def rounds(arguments: argparse.Namespace) -> Iterator[int]:
    """Yield the number of each round, with the pause between them."""
    for number in itertools.count() if arguments.forever else range(arguments.rounds):
        if number:
            time.sleep(arguments.pause)
        yield number


def run(arguments: argparse.Namespace, say: Say) -> int:
    """Do all rounds; return the exit status: 1 if a video that was given could not be converted."""
    ffmpeg = FFmpeg.find()
    renditions = renditions_of(ffmpeg)
    ids = itertools.count(arguments.video_id)
    all_worked = True
    with ExitStack() as stack:
        progress = stack.enter_context(SyncNotificationService(retry=PROGRESS_RETRY))
        results = stack.enter_context(SyncNotificationService(retry=RESULT_RETRY))
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="videosite-transcoder-")))
        sources = [(path.stem, path) for path in arguments.inputs] or made_up(ffmpeg, own, arguments.seconds)
        for _ in rounds(arguments):
            for title, file in sources:
                video = Video(next(ids), title, file)
                reporter = Reporter(video, arguments.user, progress=progress, results=results, say=say)
                all_worked &= work_on(video, ffmpeg, renditions, reporter)
    return 0 if all_worked or not arguments.inputs else 1


def user_id(text: str) -> UserId:
    """Return a user id as the platform writes it: an integer where it is one."""
    return int(text) if text.isascii() and text.isdigit() else text


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="transcoder", description=__doc__)
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="a video; none: videos of its own")
    parser.add_argument("--user", type=user_id, help="the videos' owner, who is told too")
    parser.add_argument("--video-id", type=int, default=123, help="id of the first video (%(default)s)")
    parser.add_argument("--seconds", type=float, default=8, help="length of its own videos (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="how often all videos are converted (%(default)s)")
    parser.add_argument("--forever", action="store_true", help="until it is stopped")
    parser.add_argument("--pause", type=float, default=3, help="seconds between rounds (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    telemetry.configure("videosite-transcoder")
    try:
        return run(parsed, say=lambda line: print(line, flush=True))
    except (NotificationError, FFmpegMissing) as exc:
        print(f"transcoder: {exc}", file=sys.stderr)
        return 2


def _leave(number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, which ends FFmpeg and removes the files on its way out, undisturbed by more signals."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
