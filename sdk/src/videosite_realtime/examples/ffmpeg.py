"""FFmpeg as a child process, which never outlives what asked for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from videosite_realtime.examples.progress import Progress, read_duration_us, read_progress

_QUIET: Final = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error")
_TEXT_KEPT: Final = 4096  # bytes of FFmpeg's complaints, from the end


class FFmpegMissing(Exception):
    def __str__(self) -> str:
        return "no FFmpeg: set FFMPEG, put ffmpeg on the PATH, or pip install 'videosite-realtime[examples]'"


class FFmpegFailed(Exception):
    """FFmpeg gave up on its input.

    Attributes:
        exit_code: negative if a signal ended it.
        last_line: of its stderr.
    """

    def __init__(self, exit_code: int, last_line: str) -> None:
        self.exit_code, self.last_line = exit_code, last_line
        super().__init__(exit_code, last_line)

    def __str__(self) -> str:
        return f"FFmpeg process exited with code {self.exit_code}: {self.last_line}"


class FFmpeg:
    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> FFmpeg:
        """Return the FFmpeg of ``FFMPEG``, else the one on the ``PATH``, else that of the package imageio-ffmpeg.

        Raises:
            FFmpegMissing: there is none.
        """
        path = environ.get("FFMPEG") or shutil.which("ffmpeg", path=environ.get("PATH"))
        if not path and importlib.util.find_spec("imageio_ffmpeg"):
            import imageio_ffmpeg

            path = imageio_ffmpeg.get_ffmpeg_exe()
        if not path:
            raise FFmpegMissing
        return cls(path)

    def encoders(self) -> frozenset[str]:
        """Return the names of the encoders that this FFmpeg was built with."""
        listing = self._print("-encoders").partition("------")[2]
        return frozenset(words[1] for line in listing.splitlines() if len(words := line.split()) > 1)

    def duration_us(self, source: Path) -> int | None:
        """Return a video's duration in µs; None if it cannot be told: why, ``convert`` will say."""
        return read_duration_us(self._print("-i", str(source)))

    def make_test_video(self, target: Path, *, seconds: float) -> None:
        """Make a moving picture with a tone, 720p."""
        picture = f"testsrc2=size=1280x720:rate=30:duration={seconds}"
        tone = f"sine=frequency=440:duration={seconds}"
        options = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
        for _ in self._run("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *options, str(target)):
            pass

    def convert(self, source: Path, target: Path, options: Sequence[str]) -> Iterator[Progress]:
        """Convert a video, and yield the progress reports as they come. Closing the iterator ends FFmpeg.

        Raises:
            FFmpegFailed: with what FFmpeg said last.
        """
        return self._run("-i", str(source), *options, str(target))

    def _run(self, *arguments: str) -> Iterator[Progress]:
        # Complaints go to a file: a second pipe that nobody reads would fill up and stop FFmpeg.
        with tempfile.TemporaryFile() as complaints:
            command = (self._path, *_QUIET, "-progress", "pipe:1", "-stats_period", "0.25", "-y", *arguments)
            with _child(command, complaints) as (process, lines):
                yield from read_progress(lines)
                exit_code = process.wait()
            if exit_code:
                raise FFmpegFailed(exit_code, _last_line(complaints))

    def _print(self, *arguments: str) -> str:
        command = (self._path, "-hide_banner", "-nostdin", *arguments)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
        return (done.stdout + done.stderr).decode(errors="replace")


@contextmanager
def _child(command: Sequence[str], stderr: IO[bytes]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    process = subprocess.Popen(  # noqa: S603 - our own binary, its arguments in a list
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
        env=os.environ | {"SVT_LOG": "1"},  # SVT-AV1 prints its settings unless told to print errors only
    )
    try:
        assert process.stdout is not None, "asked for above"
        with process.stdout as lines:
            yield process, lines
    finally:
        process.kill()  # does nothing to one that has ended
        process.wait()


def _last_line(complaints: IO[bytes]) -> str:
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(size - _TEXT_KEPT, 0))
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it gave no reason"
