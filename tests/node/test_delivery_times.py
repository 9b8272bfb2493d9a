"""What the bus brought, by type and audience, and how long it took."""

from __future__ import annotations

import time

import pytest
from opentelemetry.trace import SpanContext

from node import delivery_times
from node.delivery_times import DeliveryTimes
from shared.messages import prepare
from shared.metrics import LATENCY
from shared.server_clock import ServerClock

NOW_US = 1_760_000_000_000_000
TYPED = [
    {"type": "transcode_progress", "video_id": 1, "status": "processing", "progress": 5},
    {"type": "transcode_complete", "video_id": 1, "title": "a", "format_type": "av1", "file_size": 1},
    {"type": "transcode_failed", "video_id": 1, "title": "a", "error": "b"},
    {"type": "system_message", "message": "a"},
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ServerClock:
    """Of a server; on this host time stands still."""
    now = time.monotonic()
    monkeypatch.setattr(delivery_times, "monotonic", lambda: now)
    return ServerClock()


def ago(clock: ServerClock, seconds: float) -> bytes:
    return b"%d" % (delivery_times.monotonic() * 1e6 + clock.offset_us - seconds * 1e6)


@pytest.mark.parametrize("fields", TYPED, ids=lambda fields: fields["type"])
def test_typed_messages_are_known_by_how_the_router_writes_them(clock: ServerClock, fields: dict[str, object]) -> None:
    times = DeliveryTimes(clock)
    times.add(prepare(fields, now_us=NOW_US).payload, ago(clock, 0), 2)
    assert {kind: series.written for kind, series in times.series().items()} == {fields["type"]: 2}


def test_all_others_are_one_however_producers_call_them(clock: ServerClock) -> None:
    times = DeliveryTimes(clock)
    for kind in ("order_paid", "system_message_2", "transcode_progress2", "s", "t", *map(str, range(50))):
        for fields in ({"type": kind}, {"a": 1, "type": kind}):
            times.add(prepare(fields, now_us=NOW_US).payload, ago(clock, 0), 1)
    assert list(times.series()) == ["custom"]


def test_a_message_is_counted_once_and_its_sockets_each(clock: ServerClock) -> None:
    times = DeliveryTimes(clock)
    times.add(b'{"type":"a"', ago(clock, 0.07), 5000)
    buckets = times.series()["custom"].buckets()
    assert (buckets.count, buckets.counts[LATENCY.index(0.1)]) == (1, 1)
    assert buckets.sum == pytest.approx(0.07, abs=1e-5)
    assert times.written == 5000


def test_a_message_from_the_future_took_no_time_and_is_counted(clock: ServerClock) -> None:
    times = DeliveryTimes(clock)
    times.add(b'{"type":"a"', ago(clock, -3), 1)
    buckets = times.series()["custom"].buckets()
    assert (buckets.counts[0], buckets.sum, times.early) == (1, 0, 1)


def test_hosts_need_not_agree_on_the_time(clock: ServerClock) -> None:
    clock.offset_us += 3600e6  # Redis's clock is an hour ahead of this host's, and the router stamped with it
    times = DeliveryTimes(clock)
    stamped_by_the_router = b"%d" % ((time.time() + 3600 - 30) * 1e6)
    times.add(b'{"type":"a"', stamped_by_the_router, 1)
    assert 0 < times.series()["custom"].buckets().sum < 60


@pytest.mark.parametrize("fields", [*TYPED, {"type": "order_paid"}], ids=lambda fields: fields["type"])
def test_a_trace_stands_in_the_bucket_in_which_its_message_was_counted(
    clock: ServerClock, fields: dict[str, object]
) -> None:
    times, payload, published_at = DeliveryTimes(clock), prepare(fields, now_us=NOW_US).payload, ago(clock, 0.07)
    times.add(payload, published_at, 1)
    times.exemplify(payload, published_at, SpanContext(5, 6, is_remote=True))
    (series,) = times.series().values()
    buckets = series.buckets()
    ((place, exemplar),) = buckets.exemplars.items()
    assert (buckets.counts[place], exemplar.trace_id, exemplar.span_id) == (1, 5, 6)
    assert exemplar.value == pytest.approx(0.07, abs=1e-5)
