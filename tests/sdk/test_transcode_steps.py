"""What FFmpeg says, read; and the steps that follow from it."""

from __future__ import annotations

import pytest
from videosite_realtime.examples.progress import Progress, read_duration_us, read_progress
from videosite_realtime.examples.transcode import RENDITIONS, Converted, Progressed, Step, Steps, throttled

REPORTS = """\
frame=0
out_time_us=N/A
out_time=N/A
progress=continue
frame=12
fps=0.00
bitrate= 488.8kbits/s
out_time_us=400000
out_time_ms=400000
out_time=00:00:00.400000
speed=6.71x
progress=continue
frame=30
out_time_us=1000000
progress=end
"""


def test_reports_are_read_as_they_come() -> None:
    reports = read_progress(REPORTS.splitlines(keepends=True))
    assert list(reports) == [
        Progress(None, ended=False),
        Progress(400_000, ended=False),
        Progress(1_000_000, ended=True),
    ]


def test_a_report_that_breaks_off_is_none() -> None:
    assert list(read_progress(["frame=1", "out_time_us=5"])) == []


def test_a_report_does_not_inherit_from_the_one_before() -> None:
    lines = ["out_time_us=5", "progress=continue", "frame=2", "progress=continue"]
    assert [report.out_time_us for report in read_progress(lines)] == [5, None]


@pytest.mark.parametrize("text", ["N/A", "-9223372036854775807", ""])
def test_a_time_that_ffmpeg_does_not_know_is_none(text: str) -> None:
    (report,) = read_progress([f"out_time_us={text}", "progress=continue"])
    assert report.out_time_us is None


@pytest.mark.parametrize(
    ("report", "duration_us", "fraction"),
    [
        (Progress(400_000, ended=False), 1_000_000, 0.4),
        (Progress(1_020_000, ended=False), 1_000_000, 1.0),  # sound may outlast the picture
        (Progress(None, ended=False), 1_000_000, 0.0),
        (Progress(400_000, ended=False), None, 0.0),
        (Progress(400_000, ended=False), 0, 0.0),
        (Progress(None, ended=True), None, 1.0),
    ],
)
def test_a_fraction_is_known_where_time_and_duration_are(
    report: Progress, duration_us: int | None, fraction: float
) -> None:
    assert report.fraction(duration_us) == fraction


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [
        ("Input #0, mov\n  Duration: 00:00:01.00, start: 0.000000, bitrate: 7579 kb/s\n", 1_000_000),
        ("  Duration: 01:02:03.45, start: 0", 3_723_450_000),
        ("  Duration: N/A, start: 0", None),
        ("broken.mp4: Invalid data found when processing input", None),
        ("  Title: Duration: 00:00:01.00", None),
    ],
)
def test_a_duration_is_read_from_what_ffmpeg_prints_about_a_file(text: str, duration_us: int | None) -> None:
    assert read_duration_us(text) == duration_us


def test_progress_is_throttled_but_milestones_and_results_always_pass() -> None:
    begin, end = Progressed(0, "begin", milestone=True), Progressed(100, "end", milestone=True)
    early, late, last = Progressed(10, "early"), Progressed(20, "late"), Progressed(99, "last")
    result = Converted(RENDITIONS[0], None, 1)  # type: ignore[arg-type]
    now = 0.0

    def at(*moments: tuple[float, Step]) -> Steps:
        nonlocal now
        for now, step in moments:  # noqa: B007 - the clock of the test
            yield step

    steps = at((0.0, begin), (0.1, early), (0.3, late), (0.5, last), (0.51, end), (0.52, result))
    assert list(throttled(steps, interval=0.25, clock=lambda: now)) == [begin, late, end, result]
