"""Reads what FFmpeg says about a video and about its own progress. Text in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_DURATION: Final = re.compile(r"^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of ``ffmpeg -progress``.

    Attributes:
        out_time_us: how much of the output is written, µs; None while FFmpeg does not know.
        ended: this is the last report, and the output is whole.
    """

    out_time_us: int | None
    ended: bool

    def fraction(self, duration_us: int | None) -> float:
        """Return how much of the work is done, 0 to 1; 0 until the end where the duration is unknown."""
        if self.ended:
            return 1.0
        if not duration_us or self.out_time_us is None:
            return 0.0
        return min(self.out_time_us / duration_us, 1.0)


def read_progress(lines: Iterable[str]) -> Iterator[Progress]:
    """Yield the reports in the lines of ``ffmpeg -progress``: blocks of ``key=value`` that end with ``progress=…``."""
    block: dict[str, str] = {}
    for line in lines:
        key, _, value = line.strip().partition("=")
        block[key] = value
        if key == "progress":
            yield Progress(_microseconds(block.get("out_time_us", "")), ended=value == "end")
            block.clear()


def read_duration_us(description: str) -> int | None:
    """Return the duration in what ``ffmpeg -i`` prints about a file, µs; None if it names none."""
    found = _DURATION.search(description)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return (int(hours) * 3600 + int(minutes) * 60) * 1_000_000 + round(float(seconds) * 1_000_000)


def _microseconds(text: str) -> int | None:
    # "N/A", or a huge negative number, until the first frame is written. (out_time_ms is in µs as well: an old slip.)
    return int(text) if text.isascii() and text.isdigit() else None
