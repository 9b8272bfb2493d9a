"""A video in several formats, as a sequence of steps. Who hears of them is for the caller to decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videosite_realtime.examples.ffmpeg import FFmpeg


@dataclass(frozen=True, slots=True)
class Rendition:
    """What a video is converted to.

    Attributes:
        format_type: as the browsers are told.
        encoder: FFmpeg's name for it; a build may lack it.
    """

    format_type: str
    height: int
    suffix: str
    encoder: str
    options: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("-vf", f"scale=-2:{self.height}", "-pix_fmt", "yuv420p", "-c:v", self.encoder, *self.options)


RENDITIONS: Final = (
    Rendition("h264", 720, ".mp4", "libx264", ("-preset", "veryfast", "-movflags", "+faststart", "-c:a", "aac")),
    Rendition("vp9", 480, ".webm", "libvpx-vp9", ("-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")),
    Rendition("av1", 360, ".mp4", "libsvtav1", ("-preset", "11", "-c:a", "aac")),
)


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far the whole video is.

    Attributes:
        percent: 0 to 100, over all renditions.
        milestone: a rendition begins or is done; not to be left out.
    """

    percent: int
    message: str
    milestone: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """A rendition is ready; ``size`` in bytes."""

    rendition: Rendition
    file: Path
    size: int


Step = Progressed | Converted
Steps = Generator[Step, None, None]


def renditions_of(ffmpeg: FFmpeg) -> tuple[Rendition, ...]:
    """Return the renditions that this FFmpeg can make."""
    encoders = ffmpeg.encoders()
    return tuple(rendition for rendition in RENDITIONS if rendition.encoder in encoders)


def transcode(ffmpeg: FFmpeg, source: Path, target: Path, renditions: Sequence[Rendition]) -> Steps:
    """Convert a video to all renditions, into the directory ``target``.

    The files are named last, all together: to the browsers a video's transcode is over with the first of them.

    Raises:
        FFmpegFailed: the video cannot be converted.
    """
    count = len(renditions)
    duration_us = ffmpeg.duration_us(source)
    ready: list[Converted] = []
    yield Progressed(0, f"开始转码 (0/{count})", milestone=True)
    for done, rendition in enumerate(renditions):
        file = target / f"{source.stem}-{rendition.height}p-{rendition.format_type}{rendition.suffix}"
        for fraction in _convert(ffmpeg, source, file, rendition, duration_us):
            percent = int((done + fraction) * 100 / count)
            yield Progressed(percent, f"正在转码{rendition.height}p ({done + 1}/{count})")
        ready.append(Converted(rendition, file, file.stat().st_size))
        message = f"已完成{rendition.height}p转码 ({done + 1}/{count})"
        yield Progressed((done + 1) * 100 // count, message, milestone=True)
    yield from ready


def _convert(
    ffmpeg: FFmpeg, source: Path, file: Path, rendition: Rendition, duration_us: int | None
) -> Iterator[float]:
    # Under another name until it is whole: what bears the name of a result is one, whenever the power fails.
    unfinished = file.with_name(f"unfinished-{file.name}")
    furthest = 0.0
    try:
        for progress in ffmpeg.convert(source, unfinished, rendition.arguments):
            if not progress.ended:
                # FFmpeg's reports fall back now and then, and the last one before the end often knows no time.
                furthest = max(furthest, progress.fraction(duration_us))
                yield furthest
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def throttled(steps: Steps, *, interval: float = 0.25, clock: Callable[[], float] = time.monotonic) -> Steps:
    """Leave out progress that follows another within ``interval`` s; milestones and results always pass."""
    last = float("-inf")
    with closing(steps):
        for step in steps:
            if isinstance(step, Progressed):
                if not step.milestone and clock() - last < interval:
                    continue
                last = clock()
            yield step
